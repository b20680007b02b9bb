"""infra/compose with a real engine: it comes healthy, keeps its secrets, loses no job to a kill or an update.

Where no engine can be started, or compose is missing, this is skipped with the reason. It takes minutes, so all of it is soak.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import Any

import psutil
import pytest

from tests.support.compose_installation import PYTHON, Installation
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]


def test_everything_comes_healthy_and_may_no_more_than_it_needs(installation: Installation) -> None:
    found = installation.containers()

    assert len(found) == 15
    for name, one in found.items():
        assert one["Config"]["User"] not in {"", "0", "root"}, name
        assert one["HostConfig"]["CapDrop"] == ["ALL"], name
        assert not one["HostConfig"]["CapAdd"], name
        assert one["HostConfig"]["ReadonlyRootfs"], name
        if one["State"]["Status"] == "running":
            status = installation.inside(name, "cat", "/proc/1/status")
            assert re.findall(r"Cap(?:Prm|Eff|Bnd|Amb):\t(\w+)", status) == ["0" * 16] * 4, name
            assert "NoNewPrivs:\t1" in status, name
            assert "Read-only file system" in installation.inside(name, "touch", "/usr/bin/x"), name


@pytest.mark.parametrize("service", ["prefect-1", "exporter", "console"])
def test_program_that_hangs_is_unhealthy(installation: Installation, service: str) -> None:
    def said() -> str:
        return installation.inside(service, PYTHON, "-P", "-m", "redrive.infra.docker.healthy")

    (program,) = psutil.Process(installation.containers()[service]["State"]["Pid"]).children()
    assert said() == ""

    program.suspend()
    try:
        assert "does not answer" in said()
    finally:
        program.resume()
    wait_until(lambda: said() == "", 30, "it to answer again")


def test_sample_jobs_run_and_the_command_line_works_in_a_container(installation: Installation) -> None:
    done = installation.inside("ops-worker", "redrive", "enqueue", "probe", "--param", "name=sample-0", "--wait")

    assert "Completed" in done
    assert len(installation.executions("sample")) == 1
    assert "probe" in installation.inside("console", "redrive", "jobs", "list")


def test_check_finds_nothing_wrong_with_it_but_that_there_is_no_backup(installation: Installation) -> None:
    told = installation.inside("ops-worker", "redrive", "check", "--json")
    found = json.loads(told[told.index("[") :])

    said = {one["point"]: one["said"] for one in found if not one["well"]}
    points = {one["point"] for one in found}
    assert {
        "API servers",
        "passwords",
        "retention",
        "clocks",
        "versions",
        "queues",
        "lease",
        "results",
        "streams",
    } <= points
    # Those of others are not in the installation.
    assert set(said) <= {"backups", "mail server", "warehouse"}, said
    assert "backups" in said


def test_no_secret_is_in_a_description_a_log_a_layer_or_a_list_of_processes(installation: Installation) -> None:
    secrets = [path.read_text().strip() for path in installation.secrets.iterdir() if path.name != "redis-conf"]
    words = {
        word for secret in secrets for word in (secret, secret.rpartition(":")[2].partition("@")[0]) if len(word) > 12
    }
    assert len(words) >= 6

    for name, one in installation.containers().items():
        image = installation.api.inspect_image(one["Image"])
        seen = [str(one), str(image), str(installation.api.history(one["Image"])), installation.log(name, "all")]
        if one["State"]["Status"] == "running":
            seen.append(str(installation.api.top(one["Id"])))
            given = [f"-e{word}" for word in words]
            lies_in = installation.inside(name, "grep", "-rslF", *given, "/opt", "/etc", "/usr/local", "/usr/share")
            assert lies_in == "", name
        assert not [word for word in words if any(word in text for text in seen)], name


def test_each_image_has_its_bill_of_materials(installation: Installation) -> None:
    for service, package in (("worker-1", "pikepdf"), ("prefect-1", "prefect-redis"), ("keeper-1", "psycopg")):
        bill = json.loads(installation.inside(service, "cat", "/opt/redrive/sbom.cdx.json"))
        versions = {one["name"]: one["version"] for one in bill["components"]}
        assert bill["bomFormat"] == "CycloneDX"
        assert versions["prefect"] == version("prefect")
        assert versions[package] == version(package)


def test_prometheus_finds_everything_it_scrapes_and_who_it_notifies(installation: Installation) -> None:
    def asked(path: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(
                installation.inside("prometheus", "curl", "-sS", f"http://127.0.0.1:9090/api/v1/{path}")
            )["data"]
        except ValueError:
            return {}
        return found

    def scraped() -> list[str]:
        return sorted(f"{one['scrapePool']} {one['health']}" for one in asked("targets").get("activeTargets", ()))

    installation.compose("up", "-d", "--no-deps", "prometheus", "alertmanager")
    try:
        wait_until(
            lambda: scraped() == ["prefect up", "prefect up", "prometheus up", "redrive up"],
            90,
            "both API servers and the exporter",
        )
        assert [one["url"] for one in asked("alertmanagers")["activeAlertmanagers"]] == [
            "http://alertmanager:9093/api/v2/alerts"
        ]
        assert {group["name"] for group in asked("rules")["groups"]} >= {"redrive-queues"}
        for name in ("prometheus", "alertmanager"):
            assert installation.containers()[name]["HostConfig"]["ReadonlyRootfs"], name
    finally:
        installation.compose("rm", "-sfv", "prometheus", "alertmanager")


def test_lines_of_every_container_and_traces_of_jobs_reach_the_collector_and_nobody_waits_for_it(
    installation: Installation,
) -> None:
    def shipped() -> set[str]:
        return {json.loads(line)["container_name"].split("_")[1] for line in installation.shipped("lines")}

    installation.ships = True
    try:
        # The engine's driver sends from a container's start on: who was there before is started anew.
        installation.compose("up", "-d")
        installation.until_healthy("with its lines shipped")
        ran = installation.inside("ops-worker", "redrive", "enqueue", "probe", "--param", "name=shipped-0", "--wait")
        assert "Completed" in ran

        # API servers and proxy print nothing while all is well.
        talk = {
            "postgres", "redis", "migrate", "services", "register", "worker-1", "worker-2", "ops-worker", "keeper-1", "keeper-2",
            "exporter", "console",
        }  # fmt: skip
        wait_until(lambda: talk <= shipped(), 60, "the lines of who talks")
        paths = {"/v1/traces", "/v1/logs", "/v1/metrics"}
        wait_until(
            lambda: {line.split()[0] for line in installation.shipped("otlp")} == paths,
            120,
            "spans, lines of jobs, figures",
        )
        assert "database system is ready" in "".join(installation.shipped("lines"))
        assert "database system is ready" in installation.log("postgres", "all"), "docker logs works too"

        installation.compose("stop", "collector")
        alone = installation.inside("ops-worker", "redrive", "enqueue", "probe", "--param", "name=alone-0", "--wait")
        assert "Completed" in alone
    finally:
        installation.ships = False
        installation.compose("up", "-d", "--remove-orphans")
        installation.compose("rm", "-sfv", "collector")
    installation.until_healthy("as before")


def test_with_tls_nothing_of_it_speaks_without(installation: Installation) -> None:
    installation.compose("down", "-v", "--timeout", "5")
    installation.certify()
    installation.compose("up", "-d")
    installation.until_healthy("with TLS")

    done = installation.inside("ops-worker", "redrive", "enqueue", "probe", "--param", "name=tls-0", "--wait")

    assert "Completed" in done
    others = "FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE client_addr <> '127.0.0.1'"
    assert int(installation.asked(f"SELECT count(*) {others} AND ssl")) > 5
    assert installation.asked(f"SELECT count(*) {others} AND NOT ssl").strip() == "0"
    assert "PONG" not in installation.inside("redis", "redis-cli", "-h", "redis", "ping")
    for url in ("http://proxy:4200/api/ready", "http://prefect-1:4200/api/ready", "http://console:4300/alive"):
        assert installation.inside("proxy", "curl", "-so", "/dev/null", "-w", "%{http_code}", url).endswith(
            ("000", "400")
        ), url
    for url in ("https://proxy:4200/api/ready", "https://console:4300/alive"):
        trusted = ["--cacert", "/etc/nginx/tls/ca.crt"]
        assert installation.inside("proxy", "curl", "-so", "/dev/null", "-w", "%{http_code}", *trusted, url) == "200", (
            url
        )
