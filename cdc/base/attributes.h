/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes.h - what the compiler should know about a declaration.
 */
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))
/*
 * Rarely called: kept out of its callers, so that their usual path is short. (Of a cold function gcc would
 * make its callers small instead of fast.)
 */
#define NOT_INLINE __attribute__((noinline))
#define PRINTF_LIKE(text_at, values_at) __attribute__((format(printf, text_at, values_at)))

/* A local variable that is released when it goes out of scope; RELEASE takes a pointer to the variable. */
#define AUTO(RELEASE) __attribute__((cleanup(RELEASE)))
