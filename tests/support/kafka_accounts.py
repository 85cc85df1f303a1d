# SPDX-License-Identifier: Apache-2.0
"""What a Kafka sink says that it has published, by partition, beside what is there."""

import json
from collections import defaultdict

MASK = (1 << 64) - 1


def _mix(word):
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & MASK
    return word ^ word >> 31


def _place(each):
    return _mix((_mix((each.commit_lsn + 0x9E3779B97F4A7C15) & MASK) + each.index) & MASK)


def stored_accounts(pipeline):
    """The last one of each table and partition: {(topic, partition, oid): account}."""
    if pipeline.position_topic not in pipeline.kafka.topics(pipeline.position_topic):
        return {}
    found = {}
    for message in pipeline.read_topic(pipeline.position_topic):
        name = message.key().decode().partition("#records/")[2]
        if name:
            topic, partition, oid = name.split("/")
            found[topic, int(partition), int(oid)] = json.loads(message.value()) if message.value() else None
    return found


def assert_accounted(pipeline, published):
    """published: all committed messages but tombstones, read after the engine's last commit."""
    starts, counts, sums = {}, defaultdict(int), defaultdict(int)
    for (topic, partition, _), account in stored_accounts(pipeline).items():
        if account is not None:
            place = (topic, partition)
            starts[place] = min(starts.get(place, account["from"]), account["from"])
            counts[place] += account["count"]
            sums[place] = (sums[place] + int(account["places"], 16)) & MASK
    for each in published:
        place = (each.topic, each.partition)
        assert place in starts, f"{place} has a record and no account"
        if each.offset >= starts[place]:
            counts[place] -= 1
            sums[place] = (sums[place] - _place(each)) & MASK
    topics = {each.topic for each in published}
    wrong = {place: count for place, count in counts.items() if place[0] in topics and (count or sums[place])}
    assert not wrong, f"more records were counted than are there, by partition: {wrong}"
