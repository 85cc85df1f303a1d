# SPDX-License-Identifier: Apache-2.0
"""Is the target equal to the source? A run that is fast and wrong fails."""

TABLES = """
    select quote_ident(relname) from pg_class
    where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname"""
SESSION = "set datestyle = 'ISO'; set timezone = 'UTC'; set extra_float_digits = 3; set bytea_output = 'hex'"


def fingerprint(cluster, database):
    """For every table its count and a sum of row hashes, in which order does not matter and repeats do."""
    connection = cluster.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(SESSION)
            cursor.execute(TABLES)
            tables = [name for (name,) in cursor.fetchall()]
            return {table: _of_table(cursor, table) for table in tables}
    finally:
        connection.close()


def _of_table(cursor, table):
    cursor.execute(f"select count(*), coalesce(sum(hashtextextended(row::text, 0)::numeric), 0)::text "
                   f"from public.{table} row")
    return cursor.fetchone()


def differences(expected, found):
    """Sentences, none when equal."""
    sentences = []
    for table in sorted(expected.keys() | found.keys()):
        ours, theirs = expected.get(table), found.get(table)
        if ours is None or theirs is None:
            sentences.append(f"{table} is only on one side")
        elif ours[0] != theirs[0]:
            sentences.append(f"{table} has {theirs[0]} rows, not {ours[0]}")
        elif ours[1] != theirs[1]:
            sentences.append(f"{table} has other contents")
    return sentences


OBJECTS = """
    select indexdef from pg_indexes where schemaname = 'public'
    union all select conrelid::regclass || ' ' || pg_get_constraintdef(oid) || convalidated from pg_constraint
    where connamespace = 'public'::regnamespace"""


def missing_objects(source, source_database, target, target_database):
    """A sentence when the target lacks indexes or constraints, or has them not validated."""
    lacking = set(source.query(OBJECTS, database=source_database)) - set(target.query(OBJECTS, database=target_database))
    return [f"{len(lacking)} indexes and constraints are missing, such as: {next(iter(lacking))[0]}"] if lacking else []
