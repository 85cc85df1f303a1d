# SPDX-License-Identifier: Apache-2.0
"""
Fixtures of the integration and fault tests.

`pipeline` is what most tests need: two fresh databases on two running clusters and an engine that is not started yet.
Clusters of the default settings live as long as the session; `own_cluster` makes one that a test may kill.
`kafka_pipeline` is the same with Kafka in the target's place; its name, and so its topics, are its own.
"""

import contextlib
import itertools
import os
import signal
import sys
from pathlib import Path

import pytest

from support.cluster import Cluster
from support.pipeline import Pipeline
from support.server import DEFAULT_VERSION, server_programs

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption("--engine", default=os.environ.get("PGCDC_ENGINE", str(ROOT / "build-test/cdc/pgcdc")),
                     help="the pgcdc program to test")
    parser.addoption("--long", action="store_true", help="the heavier tier")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only with --long")
    config.addinivalue_line("markers", "threads: also run under ThreadSanitizer")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="only with --long"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure prints the logs of the engine and the servers."""
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for pipeline in getattr(item, "pipelines", []):
            report.sections.append((f"log of the engine {pipeline.name}", pipeline.engine.log_tail(60)))
            for server in pipeline.servers():
                report.sections.append((f"log of {server.name}", server.log_tail(15)))


@pytest.fixture(scope="session")
def program(request):
    path = Path(request.config.getoption("--engine")).resolve()
    if not path.exists():
        pytest.fail(f"{path} is not built: tests/run builds it", pytrace=False)
    return path


@pytest.fixture(scope="session")
def shared_clusters():
    """shared_clusters(role, version): started on first use, kept for the session."""
    clusters = {}

    def get(role, version=DEFAULT_VERSION):
        if server_programs(version) is None:
            pytest.skip(f"PostgreSQL {version} is not here (tests/support/install servers)")
        if (role, version) not in clusters:
            clusters[role, version] = Cluster(f"{role}{version}", version).__enter__()
            clusters[role, version].is_shared = True
        return clusters[role, version]

    yield get
    for cluster in clusters.values():
        cluster.remove()


@pytest.fixture
def own_cluster():
    """own_cluster(name, version=..., settings=...): a started cluster of this test alone."""
    clusters = []

    def make(name, version=DEFAULT_VERSION, settings=None):
        if server_programs(version) is None:
            pytest.skip(f"PostgreSQL {version} is not here (tests/support/install servers)")
        cluster = Cluster(name, version, settings)
        clusters.append(cluster)
        cluster.init()
        cluster.start()
        return cluster

    yield make
    for cluster in clusters:
        cluster.remove()


@pytest.fixture
def own_standby():
    """own_standby(primary, settings=...): a started hot standby of a cluster of this test alone."""
    clusters = []

    def make(primary, settings=None):
        cluster = Cluster("standby", primary.version)
        clusters.append(cluster)
        cluster.init_standby(primary, settings)
        cluster.start()
        return cluster

    yield make
    for cluster in clusters:
        cluster.remove()


def close_pipelines(pipelines, databases):
    """Drops the databases with their slots even when an engine died: the next test uses the same names."""
    with contextlib.ExitStack() as steps:
        for database in databases:
            if database.cluster.postmaster is not None and database.cluster.is_shared:
                steps.callback(database.drop)
        for pipeline in pipelines:
            steps.callback(pipeline.engine.assert_sane)
            steps.callback(pipeline.close)


@pytest.fixture
def new_pipeline(request, program, tmp_path):
    """new_pipeline(source cluster, target cluster, name=...): fresh databases and an engine between them."""
    request.node.pipelines = []
    databases = []

    def make(source_cluster, target_cluster, name="shop"):
        source, target = source_cluster.create_database("src"), target_cluster.create_database("dst")
        databases.extend([source, target])
        pipeline = Pipeline(program, tmp_path / f"{name}{len(request.node.pipelines)}", source, target, name)
        request.node.pipelines.append(pipeline)
        return pipeline

    yield make
    close_pipelines(request.node.pipelines, databases)


@pytest.fixture
def pipeline(new_pipeline, shared_clusters):
    return new_pipeline(shared_clusters("source"), shared_clusters("target"))


@pytest.fixture(scope="session")
def shared_kafka():
    """One broker for all tests; the pipelines' names keep topics apart."""
    from support.kafka import Kafka  # pylint: disable=import-outside-toplevel
    with Kafka("shared") as kafka:
        yield kafka


@pytest.fixture
def own_kafka():
    """own_kafka(name, brokers=..., settings=..., is_secure=...): started brokers of this test alone."""
    from support.kafka import Kafka  # pylint: disable=import-outside-toplevel
    made = []

    def make(name, **arguments):
        made.append(Kafka(name, **arguments))
        return made[-1].__enter__()

    yield make
    for kafka in made:
        kafka.remove()


PIPELINE_NUMBERS = itertools.count(1)


@pytest.fixture
def new_kafka_pipeline(request, program, tmp_path):
    """new_kafka_pipeline(source cluster, kafka, name=...): fresh databases, an engine that is not started yet."""
    from support.kafka_pipeline import KafkaPipeline  # pylint: disable=import-outside-toplevel
    request.node.pipelines = []
    databases = []

    def make(source_cluster, kafka, name=None):
        name = name or f"kafka{next(PIPELINE_NUMBERS)}"
        source, replay = source_cluster.create_database("src"), source_cluster.create_database("replay")
        databases.extend([source, replay])
        pipeline = KafkaPipeline(program, tmp_path / f"{name}_{len(request.node.pipelines)}", source, replay, kafka, name)
        request.node.pipelines.append(pipeline)
        return pipeline

    yield make
    close_pipelines(request.node.pipelines, databases)


@pytest.fixture
def kafka_pipeline(new_kafka_pipeline, shared_clusters, shared_kafka):
    return new_kafka_pipeline(shared_clusters("source"), shared_kafka)
