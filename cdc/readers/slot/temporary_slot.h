/* SPDX-License-Identifier: Apache-2.0 */
/*
 * temporary_slot.h - the reader of a slot that the server drops with our session: every change of the
 * pipeline's publication from now on, for people. It confirms what it has received.
 */
#pragma once

#include "cdc/readers/slot/slot_reader.h"

extern const struct reader_ops reader_temporary_slot;
