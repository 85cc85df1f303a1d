# SPDX-License-Identifier: Apache-2.0
"""The parts of `bench/run`.

main      the command line and the order of things
build     what must be installed, and the release engine
cluster   a private PostgreSQL in a temporary folder
workload  bench/workloads/NAME.sql: its parts, and how its backlog is recorded
peer*     who drains a backlog: pg_recvlogical, the native subscription, Debezium, pgcdc
measure   processor time and memory of every process that takes part
wire      bytes that the source sent
contents  is the target equal to the source?
latency   commit to visible, one commit at a time
lag       due to visible at a set rate, open loop
histogram counts by value, as percentiles are made of
rates     the highest rate that a peer holds
document  the result as JSON: its shape, written and read
figures   what the keys of a run mean, and how they are shown
page      the result as HTML (page.css), with the drawings of charts and plot
compare   two results side by side, with the test of certainty
micro     the engine's parts by themselves (bench/micro)
readme    the sections of the READMEs that are written from the reference result
profile   the most expensive functions of a drain
about     the commit, the machine and the versions that go into it
report    the tables on the terminal
"""
