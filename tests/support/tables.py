# SPDX-License-Identifier: Apache-2.0
"""The tables of keys in the pages, between the marks that `pgcdc help markdown` prints."""

import re

PAGES = ["cdc/manual/configuration.md", "sinks/kafka/README.md"]
TABLE = re.compile(r"<!-- keys of ([\w ]+),.*?<!-- end of the keys of \1 -->", re.DOTALL)


def replace_tables(page, printed):
    """The page with each of its tables replaced by the printed one."""
    tables = {match[1]: match[0] for match in TABLE.finditer(printed)}
    return TABLE.sub(lambda match: tables[match[1]], page)
