/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes.h - what the compiler should know of a declaration.
 */
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text_at, values_at) __attribute__((format(printf, text_at, values_at)))

/* A local that gives back what it holds when it goes out of scope; RELEASE takes a pointer to the local. */
#define AUTO(RELEASE) __attribute__((cleanup(RELEASE)))
