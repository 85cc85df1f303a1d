# SPDX-License-Identifier: Apache-2.0
"""
The oracle: a table is equal on both sides when count and hash of its rows as text are.

Ordered by the row's text, so that a table without a key works and a repeated row counts.
"""

SETTINGS = ("set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; "
            "set extra_float_digits = 3; set timezone = 'UTC'; set lc_monetary = 'C'; set search_path = ''")


def published_tables(database, publication):
    """The tables of a publication as 'schema.name', quoted."""
    rows = database.execute(
        "select format('%%I.%%I', schemaname, tablename) from pg_publication_tables where pubname = %s order by 1",
        (publication,))
    return [row[0] for row in rows]


def columns_of(cursor, table):
    cursor.execute("select quote_ident(attname) from pg_attribute where attrelid = %s::regclass and attnum > 0 "
                   "and not attisdropped order by attname", (table,))
    return [row[0] for row in cursor.fetchall()]


def snapshot(database, tables, columns=None):
    """{table: (count, hash)} in one snapshot, over `columns` (of the other side) or the table's own, by name."""
    connection = database.connect(autocommit=False)
    connection.set_session(isolation_level="REPEATABLE READ")
    try:
        with connection.cursor() as cursor:
            cursor.execute(SETTINGS)
            return {table: table_digest(cursor, table, (columns or {}).get(table)) for table in tables}
    finally:
        connection.close()


def table_digest(cursor, table, columns=None):
    names = ", ".join(columns or columns_of(cursor, table))
    cursor.execute(f"select count(*), md5(coalesce(string_agg(t, E'\\n' order by t collate \"C\"), '')) "
                   f"from (select row({names})::text as t from {table}) x")
    return cursor.fetchone()


def rows_of(database, table, columns=None):
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(SETTINGS)
            names = ", ".join(columns or columns_of(cursor, table))
            cursor.execute(f"select row({names})::text from {table}")
            return sorted(row[0] for row in cursor.fetchall())
    finally:
        connection.close()


def assert_equal(source, target, tables):
    """Over the source's columns: a target may have more."""
    connection = source.connect()
    try:
        with connection.cursor() as cursor:
            columns = {table: columns_of(cursor, table) for table in tables}
    finally:
        connection.close()
    here, there = snapshot(source, tables, columns), snapshot(target, tables, columns)
    different = [table for table in tables if here[table] != there[table]]
    assert not different, "\n".join(difference(source, target, table, columns[table]) for table in different)


def difference(source, target, table, columns, most=5):
    """A few of the rows that only one side has. Rows of tests only: the program itself never prints one."""
    here, there = rows_of(source, table, columns), rows_of(target, table, columns)
    missing, extra = subtract(here, there), subtract(there, here)
    lines = [f"{table}: {len(here)} rows at the source, {len(there)} at the target; "
             f"{len(missing)} missing, {len(extra)} extra"]
    lines += [f"  missing {row[:300]}" for row in missing[:most]]
    lines += [f"  extra   {row[:300]}" for row in extra[:most]]
    return "\n".join(lines)


def subtract(rows, others):
    """The multiset difference of two sorted lists."""
    left = []
    position = 0
    for row in rows:
        while position < len(others) and others[position] < row:
            position += 1
        if position < len(others) and others[position] == row:
            position += 1
        else:
            left.append(row)
    return left
