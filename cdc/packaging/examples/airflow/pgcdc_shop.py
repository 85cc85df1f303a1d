"""
Brings a warehouse up to date once an hour, then proves and transforms it.

`run --until caught-up` ends when the sink has everything that was committed when it started. Its exit code says whether
another try can help: 1 is a failure such as a server that is away, and Airflow retries the task; 2 and 3 are refusals, which
stay until somebody acts, so the task fails at once. The summary of the run is the task's result (XCom).
"""

import json
import subprocess
from datetime import datetime, timedelta

from airflow.exceptions import AirflowFailException
from airflow.sdk import dag, task

CONFIGURATION = "/etc/pgcdc/shop.yaml"
PROJECT = "/etc/pgcdc/dbt"
REFUSALS = (2, 3)


def pgcdc(*arguments):
    result = subprocess.run(["pgcdc", *arguments, "-c", CONFIGURATION], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode in REFUSALS:
        raise AirflowFailException(f"pgcdc {arguments[0]} refuses (exit code {result.returncode}); the log above has the remedy")
    if result.returncode != 0:
        raise RuntimeError(f"pgcdc {arguments[0]} failed (exit code {result.returncode}); the log above says why")
    return result.stdout


# The slot keeps WAL between two runs: an hour's worth, or more when runs fail. See max_slot_wal_keep_size.
@dag(schedule="@hourly", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1,
     default_args={"retries": 3, "retry_delay": timedelta(minutes=1)})
def pgcdc_shop():
    @task
    def catch_up():
        return json.loads(pgcdc("run", "--until", "caught-up", "--json"))

    @task
    def verify():
        return json.loads(pgcdc("verify", "--json"))

    @task
    def transform():
        subprocess.run(["dbt", "build", "--project-dir", PROJECT, "--profiles-dir", PROJECT], check=True)

    catch_up() >> verify() >> transform()


pgcdc_shop()
