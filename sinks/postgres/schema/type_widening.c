/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_widening.c - which changes of a type are those of its size alone.
 */
#include "sinks/postgres/schema/type_widening.h"

enum { INT8 = 20, INT2 = 21, INT4 = 23, TEXT = 25, BPCHAR = 1042, VARCHAR = 1043, NUMERIC = 1700 };
enum { MODIFIER_HEADER = 4 };

/* 0: no integer. */
static int integer_bytes(oid_t type) {
    return type == INT2 ? 2 : type == INT4 ? 4 : type == INT8 ? 8 : 0;
}

static bool length_grows(int32_t from, int32_t to) {
    return to == -1 || (from != -1 && from <= to);
}

static int digits_after(int32_t modifier) {
    return (((modifier - MODIFIER_HEADER) & 0x7ff) ^ 1024) - 1024;
}

static int digits_before(int32_t modifier) {
    return (((modifier - MODIFIER_HEADER) >> 16) & 0xffff) - digits_after(modifier);
}

static bool numeric_grows(int32_t from, int32_t to) {
    return to == -1 ||
           (from != -1 && digits_after(from) <= digits_after(to) && digits_before(from) <= digits_before(to));
}

bool type_widens(struct type_and_modifier from, struct type_and_modifier to) {
    if (from.oid == to.oid && from.modifier == to.modifier)
        return true;
    if (integer_bytes(from.oid) > 0 && integer_bytes(to.oid) > 0)
        return integer_bytes(from.oid) <= integer_bytes(to.oid);
    if (from.oid == VARCHAR && to.oid == TEXT)
        return true;
    if (from.oid != to.oid)
        return false;
    return ((to.oid == VARCHAR || to.oid == BPCHAR) && length_grows(from.modifier, to.modifier)) ||
           (to.oid == NUMERIC && numeric_grows(from.modifier, to.modifier));
}

bool type_is_integer_pair(struct type_and_modifier from, struct type_and_modifier to) {
    return integer_bytes(from.oid) > 0 && integer_bytes(to.oid) > 0;
}
