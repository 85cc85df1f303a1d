/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_text.h - a change as lines that people review: everything it has, nothing that depends on this
 * machine.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "decoder/change.h"
#include "decoder/decoder.h"

/*
 * Appends the change. *described is the relation whose definition was printed last: a change of another one
 * prints its definition first. Types announced by the decoder are named; decoder may be NULL.
 */
void change_text_append(struct buffer *text, const struct change *change, const struct decoder *decoder,
                        const struct relation **described);
