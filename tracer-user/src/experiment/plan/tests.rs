use proptest::prelude::*;

use crate::schema::PlannedPressure;

use super::{Adapter, ColdStart, Order, Plan, parse_pressure};

const GOOD: &str = r#"
name = "coverage"
seed = 7
repetitions = 3
order = "plan"
cool_down = "2s"
time_limit = "10m"
cold_start = "drop-caches"
fail_fast = true

[engine]
adapter = "llama-completion"
command = ["llama-completion", "-m", "{model}", "-n", "{tokens}", "-t", "{threads}", "--temp", "0", "--seed", "1", "-p", "{prompt}", "{own}"]
temperature = 0
seed = 1

[axes]
model = ["dense.gguf", "a b/ü.gguf"]
pressure = ["none", "memory-max=600M", "lock=8G", "leave-free=4G"]
tokens = [10, 100]
threads = [2]
prompt = ["A {brace}"]
extents = [1]
own = ["x", 2, 2.5, true]
"#;

/// A plan whose engine and axes are these.
fn plan(engine: &str, axes: &str) -> String {
    format!("name = \"x\"\n[engine]\n{engine}\n[axes]\n{axes}\n")
}

fn complaints(text: &str) -> Vec<String> {
    Plan::parse(text)
        .expect_err(text)
        .0
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_plan_is_read_whole() {
    let plan = Plan::parse(GOOD).expect("a good plan");
    assert_eq!(
        (plan.name.as_str(), plan.seed, plan.repetitions),
        ("coverage", 7, 3)
    );
    assert_eq!(
        (plan.order, plan.cold_start),
        (Order::Plan, ColdStart::DropCaches)
    );
    assert_eq!(
        (plan.cool_down.as_secs(), plan.time_limit.as_secs()),
        (2, 600)
    );
    assert!(plan.fail_fast);
    assert_eq!(plan.engine.adapter, Adapter::LlamaCompletion);
    assert_eq!(
        (plan.engine.temperature, plan.engine.seed),
        (Some(0.0), Some(1))
    );
    let names: Vec<&str> = plan.axes.iter().map(|axis| axis.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "model", "pressure", "tokens", "threads", "prompt", "extents", "own"
        ]
    );
    let own = plan.axis("own").expect("the plan's own axis");
    assert_eq!(own.values, ["x", "2", "2.5", "true"]);
}

#[test]
fn the_digest_is_of_the_meaning() {
    let digest = |text: &str| Plan::parse(text).expect(text).digest();
    let of_good = digest(GOOD);
    assert_eq!(of_good.len(), 64);
    let reordered = GOOD.replace(
        "seed = 7\nrepetitions = 3\n",
        "# a comment\nrepetitions   = 3\nseed = 7\n",
    );
    assert_ne!(reordered, GOOD);
    assert_eq!(digest(&reordered), of_good);
    for (from, to) in [
        ("seed = 7", "seed = 8"),
        ("[10, 100]", "[100, 10]"),
        ("\"2s\"", "\"3s\""),
        ("dense", "sparse"),
        ("\"{own}\"]", "\"-x\", \"{own}\"]"),
        ("repetitions = 3", "repetitions = 4"),
        ("[\"none\", ", "["),
    ] {
        let changed = GOOD.replace(from, to);
        assert_ne!(changed, GOOD, "{from}");
        assert_ne!(digest(&changed), of_good, "{from}");
    }
}

#[test]
fn pressure_has_four_kinds() {
    assert_eq!(parse_pressure("none"), Ok(PlannedPressure::None));
    assert_eq!(
        parse_pressure("lock=8G"),
        Ok(PlannedPressure::Lock(8 << 30))
    );
    assert_eq!(
        parse_pressure("leave-free=4G"),
        Ok(PlannedPressure::LeaveFree(4 << 30))
    );
    assert_eq!(
        parse_pressure("memory-max=600M"),
        Ok(PlannedPressure::MemoryMax(600 << 20))
    );
    for text in ["", "lock", "lock=", "lock=0", "free=4G", "8G", "none=1"] {
        assert!(parse_pressure(text).is_err(), "{text}");
    }
}

/// Each mistake is told with its line, and all of them at once.
#[test]
fn all_mistakes_are_told_at_once() {
    let text = r#"name = " "
order = "random"
cool_down = "soon"
repetitions = 0
[engine]
adapter = "command"
command = ["run", "{port}", "{"]
tokens_per_s = 'no group'
[axes]
model = ["m", "m"]
pressure = ["lock=X"]
tokens = [0]
own = []
"#;
    let complaints = complaints(text);
    for (line, word) in [
        (1, "name"),
        (2, "random"),
        (3, "time"),
        (4, "less than 1"),
        (7, "{port}"),
        (7, "brace"),
        (8, "one group"),
        (10, "twice"),
        (11, "size"),
        (12, "tokens"),
        (13, "no value"),
        (13, "`own` changes nothing"),
    ] {
        let start = format!("{line}:");
        assert!(
            complaints
                .iter()
                .any(|complaint| complaint.starts_with(&start) && complaint.contains(word)),
            "line {line} and {word:?} in {complaints:#?}"
        );
    }
}

#[test]
fn unknown_keys_and_syntax_are_told_with_their_place() {
    let text = GOOD
        .replace("fail_fast = true", "fail_fats = true\nfoo = 1")
        .replace("adapter =", "colour = 1\nadapter =");
    let all = complaints(&text);
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(
        all.iter().any(|one| one.starts_with("9:1: \"fail_fats\"")),
        "{all:#?}"
    );
    assert!(
        all.iter().any(|one| one.starts_with("13:1: \"colour\"")),
        "{all:#?}"
    );

    let all = complaints("name = \"x\nseed = = 2\n");
    assert!(
        all.len() >= 2 && all.iter().all(|one| one.contains(':')),
        "{all:#?}"
    );
    let all = complaints(&GOOD.replace("seed = 7", "seed = \"7\""));
    assert!(
        matches!(all.as_slice(), [one] if one.starts_with("3:8: ")),
        "{all:#?}"
    );
}

#[test]
fn what_nothing_uses_is_refused() {
    let with = |engine: &str, axes: &str| complaints(&plan(engine, axes)).join("\n");
    let command = r#"adapter = "command"
command = ["run", "{model}"]"#;
    assert!(Plan::parse(&plan(command, r#"model = ["m"]"#)).is_ok());
    assert!(with(command, "model = [\"m\"]\ntokens = [1]").contains("`tokens` changes nothing"));
    assert!(with(command, "tokens = [1]").contains("no axis `model`"));
    let fixed = r#"adapter = "command"
command = ["run"]"#;
    assert!(Plan::parse(&plan(fixed, r#"model = ["m"]"#)).is_ok());
    assert!(with(fixed, r#"model = ["m", "n"]"#).contains("`model` changes nothing"));
    assert!(with(command, "model = [\"m\"]\nport = [1]").contains("cannot be an axis"));
    assert!(with("adapter = \"other\"", "model = [\"m\"]").contains("is no adapter"));
    assert!(with("adapter = \"llama-cli\"", "model = [\"m\"]").contains("needs a command"));
}

#[test]
fn each_adapter_wants_what_it_needs() {
    let with = |engine: &str, axes: &str| complaints(&plan(engine, axes)).join("\n");
    let server = r#"adapter = "llama-server"
command = ["llama-server", "-m", "{model}"]"#;
    let said = with(server, "model = [\"m\"]\ntokens = [1]");
    assert!(
        said.contains("--port") && said.contains("`prompt`") && !said.contains("`tokens`"),
        "{said}"
    );
    let server = r#"adapter = "llama-server"
command = ["llama-server", "-m", "{model}", "--port", "{port}"]"#;
    let good = Plan::parse(&plan(
        server,
        "model = [\"m\"]\ntokens = [1]\nprompt = [\"x\"]",
    ))
    .expect("a server");
    assert_eq!(
        (good.engine.temperature, good.engine.seed),
        (Some(0.0), Some(1))
    );

    let bench = r#"adapter = "llama-bench"
command = ["llama-bench", "-m", "{model}"]"#;
    assert!(with(bench, r#"model = ["m"]"#).contains("jsonl"));

    let cli = r#"adapter = "llama-cli"
command = ["llama-cli", "-m", "{model}"]
temperature = 0
seed = 3"#;
    let said = with(cli, r#"model = ["m"]"#);
    assert!(said.contains("--temp") && said.contains("--seed"), "{said}");
    let cli = r#"adapter = "llama-cli"
command = ["llama-cli", "-m", "{model}", "--temp={temperature}", "-s", "{seed}"]
temperature = 0
seed = 3"#;
    let good = Plan::parse(&plan(cli, r#"model = ["m"]"#)).expect("both are passed");
    assert_eq!(
        (good.engine.temperature, good.engine.seed),
        (Some(0.0), Some(3))
    );

    let built_in = r#"adapter = "built-in""#;
    let good = Plan::parse(&plan(
        built_in,
        "model = [\"m\"]\ntokens = [1]\nload_mode = [\"mmap\", \"lazy\"]",
    ))
    .expect("the built-in engine needs no command");
    let words: Vec<&str> = good
        .engine
        .command
        .iter()
        .map(super::Template::written)
        .collect();
    assert_eq!(
        words,
        [
            "tracer",
            "engine",
            "--model={model}",
            "--seed=0",
            "--tokens={tokens}"
        ]
    );
    assert!(with(built_in, "model = [\"m\"]\nload_mode = [\"dio\"]").contains("\"dio\""));
    assert!(
        with(built_in, "model = [\"m\"]\nprompt = [\"x\"]").contains("`prompt` changes nothing")
    );
}

#[test]
fn a_warm_start_and_a_cgroup_exclude_each_other() {
    let text = GOOD.replace("drop-caches", "warm");
    let said = complaints(&text).join("\n");
    assert!(said.contains("exclude each other"), "{said}");
}

#[test]
fn too_many_runs_are_a_mistake() {
    let said = complaints(&GOOD.replace("repetitions = 3", "repetitions = 9223372036854775807"));
    assert!(said.join("\n").contains("more than"), "{said:#?}");
}

proptest! {
    /// Whatever is cut out of or put into a plan: an answer, and no panic.
    #[test]
    fn broken_plans_are_told(
        position in 0..GOOD.len(),
        cut in 0usize..40,
        put in "[\\[\\]{}=\"'#\\n\\\\a-z0-9.ü\u{0}]{0,8}",
    ) {
        let start = (0..=position).rev().find(|at| GOOD.is_char_boundary(*at)).unwrap_or(0);
        let end = (start + cut..GOOD.len()).find(|at| GOOD.is_char_boundary(*at)).unwrap_or(GOOD.len());
        let text = format!("{}{put}{}", &GOOD[..start], &GOOD[end..]);
        if let Err(errors) = Plan::parse(&text) {
            prop_assert!(!errors.0.is_empty());
        }
    }

    /// The same of any text.
    #[test]
    fn any_text_is_answered(text in "(\\PC|\\n){0,200}") {
        if let Err(errors) = Plan::parse(&text) {
            prop_assert!(!errors.0.is_empty());
        }
    }
}

#[test]
fn what_a_search_is_to_reach_is_read_and_belongs_to_a_search() {
    let engine = "adapter = \"command\"\ncommand = [\"run\"]";
    let axes = "model = [\"m\"]\nread_ahead = [\"as-is\", \"off\", \"128K\"]\nadded_arguments = [\"as-is\", \"--a b\"]";
    let matrix = plan(engine, axes);
    let good = Plan::parse(&matrix).expect("read-ahead is an axis of any plan");
    assert_eq!(good.tune, None);
    let with = |head: &str| format!("{head}\n{matrix}");
    let search = Plan::parse(&with(
        "kind = \"tune\"\ntune = { goal = \"load\", budget = \"5s\" }",
    ))
    .expect("a search");
    let tune = search.tune.expect("a search");
    assert_eq!((tune.goal.name(), tune.budget.as_secs()), ("load", 5));
    let all = complaints(&with("tune = { goal = \"load\" }")).join("\n");
    assert!(all.contains("kind = \"tune\""), "{all}");
    let all = complaints(&with(
        "kind = \"tune\"\ntune = { goal = \"speed\", budget = \"0s\" }",
    ));
    assert!(
        matches!(all.as_slice(), [goal, budget] if goal.contains("generation, load, prompt") && budget.contains("no run ends")),
        "{all:#?}"
    );
    for (wrong, words) in [
        ("5000", "pages of 4096"),
        ("2G", "at most"),
        ("some", "or off"),
    ] {
        let all = complaints(&matrix.replace("128K", wrong)).join("\n");
        assert!(all.contains(words), "{wrong}: {all}");
    }
}
