//! The queries of docs/FLEET.md over the records of many hosts, by DuckDB, against sums made without it.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::environment::unavailable;

use crate::ground::{Case, Ground, case};

const DOCUMENT: &str = include_str!("../../docs/FLEET.md");

/// The record of a real run, its long lists cut.
const RECORD: &str = include_str!("../../tracer-user/src/figures/laws/run.json");

const HOSTS: u64 = 1000;

/// Runs the first argument's statements in the folder; the last one's rows as JSON objects.
const SCRIPT: &str = "import duckdb, json, os, sys\n\
    os.chdir(sys.argv[1])\n\
    duckdb.sql('set enable_progress_bar = false')\n\
    for sql in sys.argv[2:-1]: duckdb.sql(sql)\n\
    answer = duckdb.sql(sys.argv[-1])\n\
    rows = [dict(zip(answer.columns, row)) for row in answer.fetchall()]\n\
    print(json.dumps(rows, default=float))";

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("fleet::queries", |ground, _| queries(ground)),
        case("fleet::growth", |ground, _| growth(ground)),
        case("fleet::what_tune_brought", |ground, _| {
            what_tune_brought(ground)
        }),
    ];
    // Its set-up is large: only where it was asked for (`cargo xtask test --spark spark::`).
    cases.extend(env::var_os("TRACER_TESTS_SPARK_PYTHON").map(|python| {
        case("spark::the_same_figures", move |ground, _| {
            spark(ground, &python)
        })
    }));
    cases
}

/// Every block of SQL in the document, in its order.
fn blocks() -> Vec<&'static str> {
    DOCUMENT
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

fn query(python: &Path, folder: &Path, views: &[&str], sql: &str) -> Result<Vec<Value>> {
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(folder)
        .args(views)
        .arg(sql)
        .output()
        .with_context(|| format!("run {}", python.display()))?;
    ensure!(
        output.status.success(),
        "DuckDB refuses {sql}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("DuckDB's answer is no JSON")
}

/// A host's number as a digit of several kinds, so that groups are of different sizes.
fn refaults(host: u64) -> u64 {
    host * 7 % 1000
}

fn kernel(host: u64) -> &'static str {
    if host.is_multiple_of(3) {
        "6.1.0"
    } else {
        "6.18.44"
    }
}

fn generate(folder: &Path, hosts: u64) -> Result<()> {
    let record: Value = serde_json::from_str(RECORD)?;
    for host in 0..hosts {
        let mut record = record.clone();
        record["kernel"] = kernel(host).into();
        record["model"]["path"] = format!("/models/{}/m{}.gguf", host, host % 2).into();
        record["cache"]["inserts"] = 1000.into();
        record["cache"]["refaults"] = refaults(host).into();
        record["reads"]["amplification"] = match host % 10 {
            0 => Value::Null,
            digit => json!(digit),
        };
        let phases = record["phases"].as_array_mut().context("phases")?;
        for phase in phases {
            if phase["phase"] == "generation" {
                phase["steps"] = 100.into();
                phase["waits"]["stall_s"] = if host % 4 == 1 {
                    Value::Null
                } else {
                    json!(host)
                };
            }
        }
        record["tensors"] = json!([
            {"layer": null, "bytes": 1, "read_bytes": 1_000_000},
            {"layer": 0, "bytes": 100, "read_bytes": 200},
            {"layer": 1, "bytes": 100, "read_bytes": host},
            {"layer": 2, "bytes": 100, "read_bytes": null},
        ]);
        if host == 5 {
            // Two models in one run.
            let of_model = |record: &Value, path: &str| {
                let mut own = json!({});
                for member in ["model", "reads", "cache", "phases", "tensors"] {
                    own[member] = record[member].clone();
                }
                own["model"]["path"] = path.into();
                own
            };
            let models = json!([of_model(&record, "/a.gguf"), of_model(&record, "/b.gguf")]);
            for member in ["model", "reads", "cache", "phases", "tensors"] {
                record.as_object_mut().context("an object")?.remove(member);
            }
            record["models"] = models;
        }
        let run = folder.join(format!("host=h{host:04}/date=2026-11-29/run=000000"));
        fs::create_dir_all(&run)?;
        fs::write(run.join("run.json"), serde_json::to_vec(&record)?)?;
    }
    Ok(())
}

/// Hosts with their model; the one with two has none of these.
fn single() -> impl Iterator<Item = (u64, String)> {
    let hosts = (0..HOSTS).filter(|host| *host != 5);
    hosts.map(|host| (host, format!("m{}.gguf", host % 2)))
}

fn close(shown: &Value, expected: f64) -> Result<()> {
    let shown = shown
        .as_f64()
        .with_context(|| format!("{shown} is no number"))?;
    ensure!(
        (shown - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{shown} is not {expected}"
    );
    Ok(())
}

/// Spark reads the same records, and gets DuckDB's figures.
fn spark(ground: &Ground, python: &OsStr) -> Result<()> {
    let folder = ground.scratch.fresh_directory("fleet")?;
    generate(&folder, HOSTS)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/spark_fleet.py");
    let output = Command::new(python).arg(script).arg(&folder).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let answers: Vec<Vec<Value>> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let [view, thrash, amplification, ..] = blocks()[..] else {
        anyhow::bail!("the document has another number of queries");
    };
    let duckdb = duckdb()?;
    ensure!(answers.len() == 2, "{text}");
    for (sql, by_spark) in [thrash, amplification].into_iter().zip(answers) {
        let by_duckdb = query(&duckdb, &folder, &[view], sql)?;
        ensure!(
            !by_duckdb.is_empty() && by_spark.len() == by_duckdb.len(),
            "{} rows by Spark, {} by DuckDB",
            by_spark.len(),
            by_duckdb.len()
        );
        for (spark, duckdb) in by_spark.iter().zip(&by_duckdb) {
            let members = duckdb.as_object().context("a row")?;
            for (name, value) in members {
                let same = match (value.as_f64(), spark[name].as_f64()) {
                    (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
                    _ => *value == spark[name],
                };
                ensure!(same, "{spark} is not {duckdb}");
            }
        }
    }
    Ok(())
}

/// The seconds that each of the statements after the second argument takes, as JSON; that one is the view.
const TIMES: &str = "import duckdb, json, os, sys, time\n\
    os.chdir(sys.argv[1])\n\
    duckdb.sql('set enable_progress_bar = false')\n\
    duckdb.sql(sys.argv[2])\n\
    def took(sql):\n\
    \x20   begun = time.monotonic()\n\
    \x20   duckdb.sql(sql).fetchall()\n\
    \x20   return time.monotonic() - begun\n\
    print(json.dumps([took(sql) for sql in sys.argv[3:]]))";

const GROWTH_BEGIN: &str = "<!-- growth -->\n";
const GROWTH_END: &str = "<!-- end -->";

/// The queries take as many times as long as there are more hosts. With `BLESS=1` 10,000 hosts too, and the table of the document is
/// written.
fn growth(ground: &Ground) -> Result<()> {
    let python = duckdb()?;
    let bless = env::var_os("BLESS").is_some();
    let [view, thrash, amplification, seconds, layers, ..] = blocks()[..] else {
        anyhow::bail!("the document has another number of queries");
    };
    let mut table = "| hosts | records | which thrash | amplification | seconds lost | layers |\n|---|---|---|---|---|---|\n".to_owned();
    let mut sums = Vec::new();
    let sizes: &[u64] = if bless {
        &[100, 1000, 10_000]
    } else {
        &[100, 1000]
    };
    for hosts in sizes {
        let folder = ground.scratch.fresh_directory("fleet")?;
        generate(&folder, *hosts)?;
        let output = Command::new(&python)
            .args(["-c", TIMES])
            .arg(&folder)
            .args([view, thrash, amplification, seconds, layers])
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let times: Vec<f64> =
            serde_json::from_slice(&output.stdout).with_context(|| errors.into_owned())?;
        let first = folder.join("host=h0000/date=2026-11-29/run=000000/run.json");
        let record_bytes = fs::metadata(first)?.len();
        let cells: Vec<String> = times.iter().map(|time| format!("{time:.2} s")).collect();
        let row = format!(
            "| {hosts} | {} MiB | {} |\n",
            (record_bytes * hosts) >> 20,
            cells.join(" | ")
        );
        eprint!("{row}");
        table.push_str(&row);
        sums.push(times.iter().sum::<f64>());
        fs::remove_dir_all(&folder)?;
    }
    // Were it by pairs of hosts, it would be a hundred times as long.
    for pair in sums.windows(2) {
        ensure!(pair[1] < 30.0 * pair[0] + 1.0, "{sums:?} seconds");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/FLEET.md");
    let (before, rest) = DOCUMENT.split_once(GROWTH_BEGIN).context("no table")?;
    let (_, after) = rest.split_once(GROWTH_END).context("no end of the table")?;
    if bless {
        fs::write(
            path,
            format!("{before}{GROWTH_BEGIN}{table}{GROWTH_END}{after}"),
        )?;
    }
    Ok(())
}

/// A Python with DuckDB.
fn duckdb() -> Result<PathBuf> {
    let python = env::var_os("TRACER_TESTS_DUCKDB_PYTHON").ok_or_else(|| {
        unavailable(
            "TRACER_TESTS_DUCKDB_PYTHON names no Python with DuckDB (`cargo xtask test` makes one)",
        )
    })?;
    Ok(python.into())
}

/// What was the best on a host: every fifth has none that helps, and one search gave no figure.
fn best(host: u64) -> (Option<f64>, &'static str, Value) {
    match host % 5 {
        _ if host == 7 => (None, "", Value::Null),
        0 => (
            Some(1.0),
            "",
            json!({"read_ahead_kb": null, "added_arguments": []}),
        ),
        1 | 2 => (
            Some(1.0 + host as f64 / 100.0),
            "read-ahead 32 KiB",
            json!({"read_ahead_kb": 32, "added_arguments": []}),
        ),
        _ => (
            Some(2.0),
            "scheduler none, --no-mmap -t 8",
            json!({"read_ahead_kb": null, "added_arguments": ["--no-mmap", "-t", "8"], "scheduler": "none"}),
        ),
    }
}

/// Of each host a run the day before its search, and one or two after it.
fn generate_searches(folder: &Path) -> Result<()> {
    let record: Value = serde_json::from_str(RECORD)?;
    for host in 0..HOSTS {
        let of_host = folder.join(format!("host=h{host:04}"));
        let write = |place: &str, name: &str, value: &Value| -> Result<()> {
            let folder = of_host.join(place);
            fs::create_dir_all(&folder)?;
            Ok(fs::write(folder.join(name), serde_json::to_vec(value)?)?)
        };
        let run = |read_bytes: u64, wall_s: u64| {
            let mut record = record.clone();
            record["reads"]["total_bytes"] = read_bytes.into();
            record["time"]["wall_s"] = wall_s.into();
            record["tensors"] = json!([]);
            record
        };
        write(
            "date=2026-11-28/run=000000",
            "run.json",
            &run(1000 * host, 10),
        )?;
        write(
            "date=2026-11-30/run=000000",
            "run.json",
            &run(100 * host, 10),
        )?;
        if host % 2 == 0 {
            write(
                "date=2026-12-01/run=000000",
                "run.json",
                &run(50 * host, 20),
            )?;
        }
        let (factor, _, setting) = best(host);
        let helps = factor.is_some_and(|factor| factor > 1.0);
        let found = json!({
            "schema_version": 1, "goal": if host % 3 == 0 { "load" } else { "generation" },
            "helps": helps, "best": setting, "factor": factor, "tried": [],
        });
        write("date=2026-11-29/run=120000", "tune.json", &found)?;
    }
    Ok(())
}

fn what_tune_brought(ground: &Ground) -> Result<()> {
    let python = duckdb()?;
    let folder = ground.scratch.fresh_directory("fleet")?;
    generate_searches(&folder)?;
    let [view, _, _, _, _, searches, by_setting, lasted] = blocks()[..] else {
        anyhow::bail!("the document has another number of queries");
    };
    let ask = |sql: &str| query(&python, &folder, &[view, searches], sql);

    let mut groups: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for host in 0..HOSTS {
        if let (Some(factor), setting, _) = best(host) {
            let goal = if host % 3 == 0 { "load" } else { "generation" };
            groups.entry((goal, setting)).or_default().push(factor);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // The sort is stable: by name where they are as many.
    groups.sort_by_key(|(_, factors)| std::cmp::Reverse(factors.len()));
    let shown = ask(by_setting)?;
    ensure!(shown.len() == groups.len(), "{shown:?}");
    for (row, ((goal, setting), mut factors)) in shown.iter().zip(groups) {
        ensure!(
            row["goal"] == goal && row["setting"] == setting && row["searches"] == factors.len(),
            "{row} is not {goal} {setting} {}",
            factors.len()
        );
        factors.sort_by(f64::total_cmp);
        close(&row["median_factor"], median(&factors))?;
        close(&row["highest_factor"], factors[factors.len() - 1])?;
    }

    let helped: Vec<u64> = (0..HOSTS)
        .filter(|host| best(*host).0.is_some_and(|factor| factor > 1.0))
        .collect();
    let shown = ask(lasted)?;
    ensure!(shown.len() == helped.len(), "{} rows", shown.len());
    for (row, host) in shown.iter().zip(helped) {
        ensure!(row["host"] == format!("h{host:04}"), "{row} is not {host}");
        close(&row["factor"], best(host).0.context("it helps")?)?;
        close(&row["bytes_per_s_before"], 100.0 * host as f64)?;
        let after = if host % 2 == 0 { 150.0 / 30.0 } else { 10.0 };
        close(&row["bytes_per_s_after"], after * host as f64)?;
    }
    Ok(())
}

/// Of sorted ones.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

fn queries(ground: &Ground) -> Result<()> {
    let python = duckdb()?;
    let folder = ground.scratch.fresh_directory("fleet")?;
    generate(&folder, HOSTS)?;
    let [view, thrash, amplification, seconds, layers, ..] = blocks()[..] else {
        anyhow::bail!("the document has another number of queries");
    };
    let ask = |sql: &str| {
        let begun = Instant::now();
        let rows = query(&python, &folder, &[view], sql)?;
        eprintln!("{HOSTS} hosts: {:?}", begun.elapsed());
        anyhow::Ok(rows)
    };
    let all = ask("select count(*) as n, count(distinct host) as hosts from runs")?;
    ensure!(all[0] == json!({"n": HOSTS + 1, "hosts": HOSTS}), "{all:?}");

    let shown = ask(thrash)?;
    let mut expected: Vec<(u64, String)> =
        single().filter(|(host, _)| refaults(*host) > 500).collect();
    expected.sort_by_key(|(host, _)| (std::cmp::Reverse(refaults(*host)), *host));
    ensure!(shown.len() == expected.len(), "{} hosts", shown.len());
    for (row, (host, model)) in shown.iter().zip(expected) {
        ensure!(
            row["host"] == format!("h{host:04}") && row["model"] == model,
            "{row} is not {host}"
        );
        close(&row["refaulted_share"], refaults(host) as f64 / 1000.0)?;
    }

    let mut groups: BTreeMap<(String, &str), Vec<f64>> = BTreeMap::new();
    for (host, model) in single() {
        let known = groups.entry((model, kernel(host))).or_default();
        known.extend((host % 10 != 0).then_some((host % 10) as f64));
    }
    for model in ["a.gguf", "b.gguf"] {
        groups.insert((model.to_owned(), kernel(5)), vec![5.0]);
    }
    let shown = ask(amplification)?;
    ensure!(shown.len() == groups.len(), "{shown:?}");
    for (row, ((model, kernel), mut values)) in shown.iter().zip(groups) {
        ensure!(row["model"] == model && row["kernel"] == kernel, "{row}");
        ensure!(row["runs"] == values.len(), "{row} of {}", values.len());
        values.sort_by(f64::total_cmp);
        close(&row["median_amplification"], median(&values))?;
    }

    let shown = ask(seconds)?;
    // Host 5 is one whose waits are not known.
    let mut expected: Vec<u64> = (0..HOSTS).filter(|host| host % 4 != 1).collect();
    expected.sort_by_key(|host| std::cmp::Reverse(*host));
    ensure!(shown.len() == expected.len(), "{} rows", shown.len());
    for (row, host) in shown.iter().zip(expected) {
        ensure!(row["host"] == format!("h{host:04}"), "{row} is not {host}");
        close(
            &row["seconds_per_million_tokens"],
            host as f64 / 100.0 * 1e6,
        )?;
    }

    let shown = ask(layers)?;
    ensure!(shown.len() == 8, "{shown:?}");
    for row in shown {
        let of_model = single().filter(|(_, model)| row["model"] == *model);
        let mut hosts: Vec<u64> = of_model.map(|(host, _)| host).collect();
        if hosts.is_empty() {
            hosts.push(5);
        }
        let times = match row["layer"].as_u64() {
            Some(0) => 2.0,
            Some(1) => hosts.iter().sum::<u64>() as f64 / (hosts.len() as f64 * 100.0),
            other => anyhow::bail!("layer {other:?} is there"),
        };
        close(&row["times_read"], times)?;
    }
    Ok(())
}
