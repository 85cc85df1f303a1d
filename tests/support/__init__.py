# SPDX-License-Identifier: Apache-2.0
"""The common part of integration and fault tests: servers, pipelines, load, and the oracle that compares both sides."""
