# SPDX-License-Identifier: Apache-2.0
"""
Where we differ from Debezium on purpose. sinks/formats/debezium/README.md says the same to people.

A rule is its reason and a question about one difference: the variant, the table, the path in the record and both sides.
"""

SOURCE_OF_A_COPY = {("value", "source", key) for key in ("ts_ms", "ts_us", "ts_ns", "txId", "lsn", "snapshot")}


def is_column(path, *names):
    return path[:2] in {("value", "after"), ("value", "before")} and path[-1] in names


RULES = {
    "Debezium streams null for a name, and copies its text: ours is the text":
        lambda variant, table, path, theirs, ours: is_column(path, "c_name") and theirs is None,
    "Java 17 does not write the shortest digits of every float":
        lambda variant, table, path, theirs, ours: is_column(path, "c_float4") and theirs == 1.4e-45 and ours == 1e-45,
    "pgoutput does not tell a domain's modifier: its numeric brings its own scale":
        lambda variant, table, path, theirs, ours: path[:3] == ("value", "after", "c_price"),
    "Debezium reads a negative scale as one of 2046 digits: ours is 0":
        lambda variant, table, path, theirs, ours: table == "odd_scales" and is_column(path, "n"),
    "microseconds since 1970 overflow in the year 294247: ours stop at the largest":
        lambda variant, table, path, theirs, ours: is_column(path, "ts") and theirs == -9223372036853775810,
    "Debezium cuts times in arrays to milliseconds and seconds: ours are whole":
        lambda variant, table, path, theirs, ours: is_column(path, "a_time", "a_timetz"),
    "Debezium loses an array of an enum that has a null element":
        lambda variant, table, path, theirs, ours: is_column(path, "a_mood") and theirs is None,
    "Debezium has a column for an array of bits and no value in it":
        lambda variant, table, path, theirs, ours: is_column(path, "a_bit") and theirs is None,
    "Debezium loses what is nested in an array":
        lambda variant, table, path, theirs, ours: table == "nested_arrays",
    "pgoutput does not tell an enum from other types of users: all are texts":
        lambda variant, table, path, theirs, ours: is_column(path, "c_pair", "c_pairs", "c_positives"),
    "Debezium makes a UUID of the placeholder's hash":
        lambda variant, table, path, theirs, ours: table == "large" and is_column(path, "au"),
    "Debezium has null for a bytea that was not touched in some modes: ours is the placeholder":
        lambda variant, table, path, theirs, ours: table == "large" and is_column(path, "b", "ay") and theirs is None,
    "null is null, though the column has a default":
        lambda variant, table, path, theirs, ours: table == "plain" and is_column(path, "optional") and ours is None,
    "what is not known of a deleted row is null, though the column is not nullable":
        lambda variant, table, path, theirs, ours: path[:2] == ("value", "before") and ours is None and theirs in (0, 7, ""),
    "a key has its columns in the table's order":
        lambda variant, table, path, theirs, ours: path[-1:] == ("(order)",) and table == "two_keys",
    "the key is the replica identity: none with identity full":
        lambda variant, table, path, theirs, ours: table in ("full_identity", "no_key_full") and (path == ("key",) or path == ()),
    "the key is the replica identity: its index's columns":
        lambda variant, table, path, theirs, ours: table == "by_index" and path[:1] in (("key",), ("headers",)),
    "the sink names topics, not the format":
        lambda variant, table, path, theirs, ours: path == ("topic",),
    "Debezium drops a row with an offset of seconds":
        lambda variant, table, path, theirs, ours: table == "times" and path == () and theirs is None,
    "an array that Debezium never has is bytes as well when those are asked for":
        lambda variant, table, path, theirs, ours: variant == "texts" and table == "rare_arrays",
    "Debezium reads geometry and writes its numbers again: ours is PostgreSQL's text":
        lambda variant, table, path, theirs, ours: variant == "texts" and is_column(
            path, "c_box", "c_lseg", "c_path", "c_polygon", "c_circle", "c_line"),
    "Debezium copies dates before 1582 by the Julian calendar, and infinity with them":
        lambda variant, table, path, theirs, ours: variant == "snapshot" and table == "times" and is_column(path, "d"),
    "Debezium copies a time with an offset of seconds as null":
        lambda variant, table, path, theirs, ours: variant == "snapshot" and table == "times" and is_column(path, "tz"),
    "a copied row says when and where it was copied":
        lambda variant, table, path, theirs, ours: variant == "snapshot" and path in SOURCE_OF_A_COPY,
    "the row of the copy was updated before":
        lambda variant, table, path, theirs, ours: variant == "snapshot" and table in ("large", "plain", "no_key_full", "by_index", "full_identity"),
}
KNOWN = list(RULES)


def table_of(record):
    return record["topic"].split(".", 2)[2]


def is_known(variant, record, path, theirs, ours):
    """The reason, or None."""
    return next((reason for reason, rule in RULES.items() if rule(variant, table_of(record), path, theirs, ours)), None)


def without(field, *keys):
    return {key: value for key, value in (field or {}).items() if key not in keys}


# The same of one column's schema.
SCHEMA_RULES = {
    "the stream does not tell which columns are never null, nor defaults":
        lambda table, what, column, theirs, ours: what == "row" and ours and theirs and
        without(theirs, "optional", "default") == without(ours, "optional", "default"),
    "the stream does not tell an enum and its labels: a string":
        lambda table, what, column, theirs, ours: column in ("c_mood", "a_mood"),
    "pgoutput does not tell a domain's modifier: a numeric that brings its scale":
        lambda table, what, column, theirs, ours: column == "c_price",
    "Debezium reads a negative scale as one of 2046 digits: 0, and its digits more":
        lambda table, what, column, theirs, ours: table == "odd_scales",
    "Debezium has a column for an array of bits and no value":
        lambda table, what, column, theirs, ours: column == "a_bit",
    "types of users are strings, which Debezium leaves out or has as bytes":
        lambda table, what, column, theirs, ours: column in ("c_pair", "c_pairs", "c_positives"),
    "an array that Debezium never has is bytes as well when those are asked for, and so is its schema":
        lambda table, what, column, theirs, ours: table == "rare_arrays" and theirs is None,
    "the key is the replica identity, and so is its schema":
        lambda table, what, column, theirs, ours: what == "key" and table in ("full_identity", "no_key_full", "by_index"),
}
KNOWN_SCHEMAS = list(SCHEMA_RULES)


def is_known_schema(table, what, column, theirs, ours):
    return next((reason for reason, rule in SCHEMA_RULES.items() if rule(table, what, column, theirs, ours)), None)
