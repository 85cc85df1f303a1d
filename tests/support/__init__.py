# SPDX-License-Identifier: Apache-2.0
"""What integration and fault tests share: servers, pipelines, load, and the oracle that compares both sides."""
