//! What is to be done about the engines that were seen. Pure.
//!
//! Reads are counted by the file that they are of, whoever makes them. So what has to be counted once is a file: no file is in two
//! windows at one time, and an engine that has the same model open as another is counted with that one.

use std::collections::BTreeSet;

use super::engine::{EngineKey, FileKey, SeenEngine};

/// A window that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWindow {
    pub engine: EngineKey,
    /// What it counts.
    pub files: BTreeSet<FileKey>,
    /// It was told to end, and has not ended yet: its files are its own still.
    pub ending: bool,
}

/// A window to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    pub engine: EngineKey,
    /// Which of the engine's models it counts: all but those that another window has.
    pub models: Vec<usize>,
}

/// An engine of which all models are in other windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shared {
    pub engine: EngineKey,
    /// The engine whose window has the first of them.
    pub with: EngineKey,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub begin: Vec<Begin>,
    /// Windows to end, since their engine has opened a model that none has.
    pub end: Vec<EngineKey>,
    pub shared: Vec<Shared>,
    /// Engines beyond the number that may be followed.
    pub beyond: Vec<EngineKey>,
}

/// Decides. `seen` are the engines with their models, those first that are to be followed first; `at_most` is how many windows
/// may be open, and `may_begin` whether an engine may be tried now.
#[must_use]
pub fn plan(
    seen: &[SeenEngine],
    open: &[OpenWindow],
    at_most: usize,
    may_begin: impl Fn(EngineKey) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    let mut claimed: Vec<(EngineKey, BTreeSet<FileKey>)> = open
        .iter()
        .map(|window| (window.engine, window.files.clone()))
        .collect();
    let mut places = at_most.saturating_sub(open.len());
    for engine in seen {
        let owners: Vec<Option<EngineKey>> = engine
            .models
            .iter()
            .map(|model| {
                let owner = claimed
                    .iter()
                    .find(|(_, files)| !files.is_disjoint(&model.files));
                owner.map(|(owner, _)| *owner)
            })
            .collect();
        let free: Vec<usize> = (0..owners.len())
            .filter(|&model| owners[model].is_none())
            .collect();
        if let Some(own) = open.iter().find(|window| window.engine == engine.key) {
            if !free.is_empty() && !own.ending {
                plan.end.push(engine.key);
            }
            continue;
        }
        if free.is_empty() {
            // One without models has nothing to count.
            if let Some(with) = owners.into_iter().flatten().next() {
                plan.shared.push(Shared {
                    engine: engine.key,
                    with,
                });
            }
        } else if may_begin(engine.key) {
            if places == 0 {
                plan.beyond.push(engine.key);
                continue;
            }
            places -= 1;
            let files = free.iter().flat_map(|&model| &engine.models[model].files);
            claimed.push((engine.key, files.copied().collect()));
            plan.begin.push(Begin {
                engine: engine.key,
                models: free,
            });
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf};

    use proptest::prelude::*;

    use super::{Begin, EngineKey, OpenWindow, Plan, Shared, plan};
    use crate::watch::engine::{FileKey, OpenedModel, SeenEngine};

    fn key(pid: i32) -> EngineKey {
        EngineKey {
            start_time_ticks: 100,
            pid,
        }
    }

    fn model(files: &[u64]) -> OpenedModel {
        OpenedModel {
            name: format!("{files:?}"),
            files: files.iter().map(|file| (1, *file)).collect(),
            path: None,
            openable_path: PathBuf::new(),
        }
    }

    fn engine(pid: i32, models: &[&[u64]]) -> SeenEngine {
        SeenEngine {
            key: key(pid),
            name: String::new(),
            command_line: Vec::new(),
            models: models.iter().map(|files| model(files)).collect(),
            found_by_attach: true,
        }
    }

    fn window(pid: i32, files: &[u64], ending: bool) -> OpenWindow {
        OpenWindow {
            engine: key(pid),
            files: files.iter().map(|file| (1, *file)).collect(),
            ending,
        }
    }

    fn begin(pid: i32, models: &[usize]) -> Begin {
        Begin {
            engine: key(pid),
            models: models.to_vec(),
        }
    }

    fn of(seen: &[SeenEngine], open: &[OpenWindow], at_most: usize) -> Plan {
        plan(seen, open, at_most, |_| true)
    }

    #[test]
    fn an_engine_that_comes_is_followed_and_then_nothing_is_to_be_done() {
        let seen = [engine(1, &[&[7]])];
        assert_eq!(of(&seen, &[], 10).begin, [begin(1, &[0])]);
        let open = [window(1, &[7], false)];
        assert_eq!(of(&seen, &open, 10), Plan::default());
        // It has let its model go, or is gone: its window ends by itself.
        assert_eq!(of(&[engine(1, &[])], &open, 10), Plan::default());
        assert_eq!(of(&[], &open, 10), Plan::default());
        assert_eq!(of(&[engine(1, &[])], &[], 10), Plan::default());
    }

    #[test]
    fn another_model_ends_the_window_once() {
        let seen = [engine(1, &[&[8]])];
        let open = [window(1, &[7], false)];
        assert_eq!(of(&seen, &open, 10).end, [key(1)]);
        let ending = [window(1, &[7], true)];
        assert_eq!(of(&seen, &ending, 10), Plan::default());
        assert_eq!(of(&seen, &[], 10).begin, [begin(1, &[0])]);
        // A part of what is counted is no other model.
        let parts = [engine(1, &[&[7]])];
        assert_eq!(
            of(&parts, &[window(1, &[7, 8], false)], 10),
            Plan::default()
        );
    }

    #[test]
    fn a_model_of_two_engines_is_counted_once() {
        let seen = [
            engine(1, &[&[7]]),
            engine(2, &[&[7], &[8]]),
            engine(3, &[&[7]]),
        ];
        let first = of(&seen, &[], 10);
        assert_eq!(first.begin, [begin(1, &[0]), begin(2, &[1])]);
        let shared = Shared {
            engine: key(3),
            with: key(1),
        };
        assert_eq!(first.shared, [shared]);
        // That the other has it open too is no reason to end a window.
        let open = [window(1, &[7], false), window(2, &[8], false)];
        let then = of(&seen, &open, 10);
        assert_eq!((then.begin, then.end), (vec![], vec![]));
        // The first one is gone: the second has a model that nobody counts.
        let alone = of(&seen[1..], &open[1..], 10);
        assert_eq!(alone.end, [key(2)]);
        assert_eq!(alone.begin, [begin(3, &[0])]);
    }

    #[test]
    fn those_beyond_the_number_are_named() {
        let seen = [engine(1, &[&[7]]), engine(2, &[&[8]]), engine(3, &[&[9]])];
        let plan = of(&seen, &[], 2);
        assert_eq!(plan.begin.len(), 2);
        assert_eq!(plan.beyond, [key(3)]);
        // An ending window still has its place.
        let open = [window(1, &[7], false), window(2, &[8], true)];
        assert_eq!(of(&seen, &open, 2).beyond, [key(3)]);
        assert_eq!(of(&seen, &open[..1], 2).begin, [begin(2, &[0])]);
    }

    #[test]
    fn an_engine_that_failed_is_not_tried_at_once() {
        let seen = [engine(1, &[&[7]]), engine(2, &[&[8]])];
        let plan = plan(&seen, &[], 10, |engine| engine != key(1));
        assert_eq!(plan.begin, [begin(2, &[0])]);
    }

    /// Up to six engines with up to three models of up to two of eight files, some of which are open.
    fn engines() -> impl Strategy<Value = Vec<SeenEngine>> {
        let model = prop::collection::btree_set(0u64..8, 1..3);
        let models = prop::collection::vec(model, 0..4);
        prop::collection::vec(models, 0..7).prop_map(|all| {
            let engines = all.into_iter().zip(1..);
            engines
                .map(|(models, pid)| {
                    let models: Vec<Vec<u64>> = models
                        .into_iter()
                        .map(|files| files.into_iter().collect())
                        .collect();
                    let models: Vec<&[u64]> = models.iter().map(Vec::as_slice).collect();
                    engine(pid, &models)
                })
                .collect()
        })
    }

    /// Carries a plan out: what is to end has ended, what is to begin is open.
    fn carried_out(plan: &Plan, seen: &[SeenEngine], open: &[OpenWindow]) -> Vec<OpenWindow> {
        let stays = open.iter().filter(|it| !plan.end.contains(&it.engine));
        let begins = plan.begin.iter().map(|begin| {
            let engine = seen.iter().find(|it| it.key == begin.engine);
            let models = &engine.expect("it was seen").models;
            OpenWindow {
                engine: begin.engine,
                files: begin
                    .models
                    .iter()
                    .flat_map(|model| models[*model].files.clone())
                    .collect(),
                ending: false,
            }
        });
        stays.cloned().chain(begins).collect()
    }

    proptest! {
        #[test]
        fn no_file_is_in_two_windows_and_the_number_is_kept(
            looks in prop::collection::vec(engines(), 1..6),
            at_most in 0usize..5,
        ) {
            let mut open: Vec<OpenWindow> = Vec::new();
            for seen in &looks {
                // Engines that are gone end their windows by themselves.
                open.retain(|window| seen.iter().any(|engine| engine.key == window.engine));
                let decided = of(seen, &open, at_most);
                open = carried_out(&decided, seen, &open);
                let mut files: BTreeSet<FileKey> = BTreeSet::new();
                for window in &open {
                    for file in &window.files {
                        prop_assert!(files.insert(*file), "{file:?} is in two windows: {open:?}");
                    }
                }
                prop_assert!(open.len() <= at_most);
                let engines: BTreeSet<EngineKey> = open.iter().map(|it| it.engine).collect();
                prop_assert_eq!(engines.len(), open.len());
            }
        }

        #[test]
        fn a_plan_comes_to_rest_and_leaves_no_engine_out(seen in engines(), at_most in 0usize..5) {
            let mut open = Vec::new();
            let mut rested = false;
            for _ in 0..20 {
                let decided = of(&seen, &open, at_most);
                if decided.begin.is_empty() && decided.end.is_empty() {
                    rested = true;
                    for engine in seen.iter().filter(|engine| !engine.models.is_empty()) {
                        let told = open.iter().any(|it: &OpenWindow| it.engine == engine.key)
                            || decided.beyond.contains(&engine.key)
                            || decided.shared.iter().any(|it| it.engine == engine.key);
                        prop_assert!(told, "{engine:?} is neither followed nor named: {decided:?}");
                    }
                    break;
                }
                open = carried_out(&decided, &seen, &open);
            }
            prop_assert!(rested, "it never comes to rest: {open:?}");
        }
    }
}
