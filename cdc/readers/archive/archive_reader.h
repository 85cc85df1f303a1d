/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_reader.h - a reader whose changes come from an archive (source.archive) instead of a server.
 *
 * Positions are the source's, as the slot's reader has them. So a sink can go from one to the other. Only
 * what the archive has committed is delivered, and nothing is confirmed to it. The rows of a copy arrive as
 * one transaction, which ends where the copy does.
 *
 * A writer may add to the archive at the same time: the reader then follows it.
 */
#pragma once

#include "cdc/readers/reader.h"

extern const struct reader_ops reader_archive;
