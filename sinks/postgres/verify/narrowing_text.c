/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrowing_text.c - a value is changed when its text is another one. 1.50 that becomes 1.5 is still the same
 * number.
 */
#include "sinks/postgres/verify/narrowing_text.h"

#include "sinks/postgres/catalog/type_shape.h"

enum narrowing narrowing_of(const PGresult *shapes, const struct table_column *column) {
    const int row = type_shapes_find(shapes, 0, PQntuples(shapes), slice_of(column->name));
    if (row < 0)
        return NARROWS_NOTHING;
    const struct type_shape source = type_shape_of_table_column(column);
    const struct type_shape target = type_shape_of_row(shapes, row);
    if (type_fits(&source, &target))
        return NARROWS_NOTHING;
    if (!type_pair_is_numeric(&source, &target))
        return NARROWS_TEXT;
    return source.is_array ? NARROWS_NUMBERS : NARROWS_NUMBER;
}

void narrowing_append(struct buffer *sql, const char *value_sql, enum narrowing narrowing,
                      const char *converted) {
    static const char *const AS[] = {
        [NARROWS_TEXT] = " collate \"C\"", [NARROWS_NUMBER] = "::numeric", [NARROWS_NUMBERS] = "::numeric[]"};
    buffer_printf(sql, "%s%s is not null and format('%%s', %s)%s is distinct from (%s)%s)",
                  sql->size > 0 ? " or (" : "(", value_sql, value_sql, AS[narrowing],
                  converted != NULL ? converted : "", AS[narrowing]);
}
