//! The queries of docs/FLEET.md over the records of many hosts, by DuckDB, against sums made without it.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command, time::Instant};

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
    for sql in sys.argv[2:-1]: duckdb.sql(sql)\n\
    answer = duckdb.sql(sys.argv[-1])\n\
    rows = [dict(zip(answer.columns, row)) for row in answer.fetchall()]\n\
    print(json.dumps(rows, default=float))";

pub fn cases() -> Vec<Case> {
    vec![case("fleet::queries", |ground, _| queries(ground))]
}

/// Every block of SQL in the document, in its order.
fn blocks() -> Vec<&'static str> {
    DOCUMENT
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

fn query(python: &Path, folder: &Path, view: &str, sql: &str) -> Result<Vec<Value>> {
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(folder)
        .args([view, sql])
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

fn generate(folder: &Path) -> Result<()> {
    let record: Value = serde_json::from_str(RECORD)?;
    for host in 0..HOSTS {
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

fn queries(ground: &Ground) -> Result<()> {
    let python = env::var_os("TRACER_TESTS_DUCKDB_PYTHON").ok_or_else(|| {
        unavailable(
            "TRACER_TESTS_DUCKDB_PYTHON names no Python with DuckDB (`cargo xtask test` makes one)",
        )
    })?;
    let folder = ground.scratch.fresh_directory("fleet")?;
    generate(&folder)?;
    let [view, thrash, amplification, seconds, layers] = blocks()[..] else {
        anyhow::bail!("the document has another number of queries");
    };
    let ask = |sql: &str| {
        let begun = Instant::now();
        let rows = query(Path::new(&python), &folder, view, sql)?;
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
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        close(&row["median_amplification"], median)?;
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
