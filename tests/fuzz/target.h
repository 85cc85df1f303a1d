/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - the one function of a fuzz target, as libFuzzer names it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Aborts when something does not hold; always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
