use crate::stats::Nanos;

use super::{LoadEndBasis, Mark, Phase, TimedMark, Unended, classify, load_end_basis, unended};
use proptest::prelude::*;

fn marks(marks: &[Mark]) -> Vec<TimedMark> {
    (1u64..)
        .zip(marks)
        .map(|(time, mark)| TimedMark {
            time: Nanos(time),
            mark: *mark,
        })
        .collect()
}

fn entered(tokens: u32) -> Mark {
    Mark::DecodeEntered {
        tokens: Some(tokens),
        phase: None,
    }
}

const UNKNOWN: Mark = Mark::DecodeEntered {
    tokens: None,
    phase: None,
};

fn phases(list: &[Mark], from_start: bool) -> Vec<(Phase, Option<u32>)> {
    classify(&marks(list), from_start)
        .into_iter()
        .map(|class| (class.phase, class.step))
        .collect()
}

#[test]
fn a_completion_is_load_warm_up_prompt_and_steps() {
    use Mark::{DecodeReturned as Returned, Loaded, WarmUp};
    use Phase::{End, Generation, Idle, Load, Prompt, WarmUp as Warm};
    let run = [
        Loaded(LoadEndBasis::Returned),
        Loaded(LoadEndBasis::Returned),
        WarmUp(true),
        entered(2),
        Returned,
        WarmUp(false),
        entered(7),
        Returned,
        entered(1),
        Returned,
        entered(1),
        Returned,
    ];
    assert_eq!(
        phases(&run, true),
        [
            (Load, None),
            (Load, None),
            (Idle, None),
            (Idle, None),
            (Warm, Some(0)),
            (Idle, None),
            (Idle, None),
            (Prompt, Some(1)),
            (Prompt, Some(1)),
            (Generation, Some(2)),
            (Generation, Some(2)),
            (Generation, Some(3)),
            (End, None),
        ]
    );
}

#[test]
fn without_token_counts_the_first_call_of_a_request_is_its_prompt() {
    use Phase::{End, Generation, Idle, Load, Prompt};
    let run = [
        Mark::Loaded(LoadEndBasis::LogLine),
        Mark::RequestBegan,
        UNKNOWN,
        UNKNOWN,
        Mark::DecodeReturned,
        Mark::RequestEnded,
        Mark::RequestBegan,
        UNKNOWN,
        Mark::DecodeReturned,
    ];
    let found: Vec<_> = phases(&run, true)
        .into_iter()
        .map(|class| class.0)
        .collect();
    assert_eq!(
        found,
        [
            Load, Idle, Idle, Prompt, Generation, Idle, Idle, Idle, Prompt, End
        ]
    );
}

#[test]
fn a_servers_line_may_come_while_the_prompt_is_already_decoded() {
    use Phase::{End, Generation, Idle, Load, Prompt, WarmUp};
    let returned = Mark::DecodeReturned;
    let found = |list: &[Mark]| -> Vec<Phase> {
        let all = phases(list, true).into_iter().map(|class| class.0);
        all.collect()
    };
    let load = Mark::Loaded(LoadEndBasis::Returned);
    let late = [
        load,
        entered(2),
        returned,
        entered(16),
        Mark::RequestBegan,
        returned,
        entered(1),
        returned,
    ];
    assert_eq!(
        found(&late),
        [
            Load, Idle, WarmUp, Idle, Prompt, Prompt, Prompt, Generation, End
        ]
    );
    let in_time = [
        load,
        entered(2),
        returned,
        Mark::RequestBegan,
        entered(16),
        returned,
        entered(1),
        returned,
    ];
    assert_eq!(
        found(&in_time),
        [
            Load, Idle, WarmUp, Idle, Idle, Prompt, Prompt, Generation, End
        ]
    );
}

#[test]
fn a_function_that_the_user_calls_the_load_is_no_step() {
    use Phase::{End, Idle, Load, Prompt};
    let loads = Mark::DecodeEntered {
        tokens: None,
        phase: Some(Load),
    };
    let returned = Mark::DecodeReturned;
    assert_eq!(
        phases(&[loads, returned, entered(4), returned], true),
        [
            (Load, None),
            (Load, None),
            (Idle, None),
            (Prompt, Some(0)),
            (End, None)
        ]
    );
}

/// A function that is inside for so much of a step of 10, at times of its own.
fn beginners(inside: u64, steps: u64) -> Vec<TimedMark> {
    let began = Mark::StepBegan { phase: None };
    (0..steps)
        .flat_map(|step| {
            [
                (10 * step, began),
                (10 * step + inside, Mark::BeginnerReturned),
            ]
        })
        .map(|(time, mark)| TimedMark {
            time: Nanos(100 + time),
            mark,
        })
        .collect()
}

#[test]
fn a_step_known_by_its_entry_alone_has_no_end_and_takes_nothing_from_the_end() {
    use Phase::{End, Generation, Load, Prompt, UnendedStep};
    let of = |list: &[TimedMark]| -> Vec<_> {
        let classes = classify(list, true).into_iter();
        classes.map(|class| (class.phase, class.step)).collect()
    };
    // The function returns at once; the work comes after.
    let early = beginners(1, 3);
    assert_eq!(
        of(&early),
        [
            (Load, None),
            (Prompt, Some(0)),
            (Prompt, Some(0)),
            (Generation, Some(1)),
            (Generation, Some(1)),
            (UnendedStep, Some(2)),
            (UnendedStep, Some(2)),
        ]
    );
    assert_eq!(unended(&early), Some(Unended::EntryOnly));
    // Its return is not even probed.
    let entries: Vec<_> = early.into_iter().step_by(2).collect();
    assert_eq!(of(&entries).last(), Some(&(UnendedStep, Some(2))));
    // The function is the step.
    let whole = beginners(9, 3);
    assert_eq!(
        of(&whole)[4..],
        [(Generation, Some(1)), (Generation, Some(2)), (End, None)]
    );
    assert_eq!(unended(&whole), None);
    // One call alone says nothing of where its step ends.
    assert_eq!(unended(&beginners(9, 1)), Some(Unended::EntryOnly));
    // The window ends inside of a decode call.
    let cut = marks(&[entered(1), Mark::DecodeReturned, entered(1)]);
    assert_eq!(unended(&cut), Some(Unended::WindowEnded));
    assert_eq!(unended(&cut[..2]), None);
    assert_eq!(unended(&[]), None);
}

#[test]
fn what_is_given_counts_over_what_is_told() {
    use Mark::{DecodeReturned as Returned, PhaseGiven};
    use Phase::{End, Generation, Idle, Inference, Load, Mixed, Prompt, Unmarked};
    // A script alone.
    let script = [
        PhaseGiven(Load),
        PhaseGiven(Prompt),
        PhaseGiven(Generation),
        PhaseGiven(End),
    ];
    let found = phases(&script, true);
    assert_eq!(
        found,
        [Load, Load, Prompt, Generation, End].map(|phase| (phase, None))
    );
    assert_eq!(load_end_basis(&marks(&script)), Some(LoadEndBasis::Given));
    assert_eq!(phases(&script[2..], false)[0].0, Unmarked);
    // Beside the page cache's.
    let full_pass = Mark::Loaded(LoadEndBasis::FullPass);
    assert_eq!(
        phases(&[full_pass, PhaseGiven(Generation)], true),
        [(Load, None), (Load, None), (Generation, None)]
    );
    assert_eq!(
        phases(&[full_pass], true),
        [(Load, None), (Inference, None)]
    );
    // Over decode calls: their steps stay, and get the phase.
    assert_eq!(
        phases(
            &[
                PhaseGiven(Mixed),
                entered(4),
                Returned,
                entered(1),
                PhaseGiven(Idle),
                Returned
            ],
            true
        ),
        [
            (Load, None),
            (Mixed, None),
            (Mixed, Some(0)),
            (Mixed, Some(0)),
            (Mixed, Some(1)),
            (Idle, None),
            (Idle, None),
        ]
    );
    // Steps that a script marks, and their end.
    let step = Mark::StepBegan { phase: None };
    let steps = [PhaseGiven(Generation), step, step, PhaseGiven(End)];
    assert_eq!(unended(&marks(&steps)), None);
    assert_eq!(
        phases(&steps, true)[2..],
        [(Generation, Some(0)), (Generation, Some(1)), (End, None)]
    );
    assert_eq!(unended(&marks(&steps[..3])), Some(Unended::EntryOnly));
    assert_eq!(
        phases(&[PhaseGiven(Idle), step, PhaseGiven(Idle)], true),
        [(Load, None), (Idle, None), (Prompt, Some(0)), (Idle, None)]
    );
}

#[test]
fn a_named_load_is_no_unended_step() {
    let loads = Mark::StepBegan {
        phase: Some(Phase::Load),
    };
    assert_eq!(unended(&marks(&[loads])), None);
    assert_eq!(
        phases(&[loads, Mark::BeginnerReturned, entered(4)], true)[1..],
        [
            (Phase::Load, None),
            (Phase::Idle, None),
            (Phase::Prompt, Some(0))
        ]
    );
}

#[test]
fn several_requests_at_once_are_mixed() {
    let run = [
        Mark::RequestBegan,
        Mark::RequestBegan,
        entered(9),
        entered(2),
        Mark::RequestEnded,
        entered(1),
    ];
    let found: Vec<_> = phases(&run, true)
        .into_iter()
        .map(|class| class.0)
        .collect();
    assert_eq!(
        found.get(3..),
        Some([Phase::Mixed, Phase::Mixed, Phase::Mixed, Phase::Generation].as_slice())
    );
}

#[test]
fn an_engine_that_was_attached_to_has_no_load_and_no_prompt_at_first() {
    assert_eq!(
        phases(&[UNKNOWN, UNKNOWN], false),
        [
            (Phase::Unmarked, None),
            (Phase::Generation, Some(0)),
            (Phase::Generation, Some(1))
        ]
    );
}

#[test]
fn the_best_basis_ends_the_load() {
    use LoadEndBasis::{ContextMade, LateLogLine, Returned};
    let run = marks(&[
        Mark::Loaded(Returned),
        Mark::Loaded(ContextMade),
        Mark::Loaded(LateLogLine),
        UNKNOWN,
        Mark::Loaded(Returned),
    ]);
    assert_eq!(load_end_basis(&run), Some(Returned));
    assert_eq!(classify(&run, true)[1].phase, Phase::Idle);
}

#[test]
fn log_lines_alone_give_phases_without_steps() {
    use Phase::{Generation, Inference, Load, Prompt, Unmarked};
    let load = Mark::Loaded(LoadEndBasis::LogLine);
    assert_eq!(
        phases(&[load, Mark::PromptEnded], true),
        [(Load, None), (Prompt, None), (Generation, None)]
    );
    assert_eq!(phases(&[load], true), [(Load, None), (Inference, None)]);
    assert_eq!(phases(&[], true), [(Unmarked, None)]);
}

fn any_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        Just(Mark::Loaded(LoadEndBasis::Returned)),
        Just(Mark::Loaded(LoadEndBasis::FullPass)),
        any::<bool>().prop_map(Mark::WarmUp),
        Just(Mark::WarmUpAnnounced),
        (0u32..4).prop_map(|tokens| Mark::DecodeEntered {
            tokens: tokens.checked_sub(1),
            phase: None
        }),
        Just(Mark::DecodeReturned),
        Just(Mark::StepBegan { phase: None }),
        Just(Mark::BeginnerReturned),
        Just(Mark::PhaseGiven(Phase::Mixed)),
        Just(Mark::PromptEnded),
        Just(Mark::RequestBegan),
        Just(Mark::RequestEnded),
    ]
}

proptest! {
    #[test]
    fn every_segment_has_a_class_and_every_call_a_step(
        list in proptest::collection::vec(any_mark(), 0..40), from_start: bool,
    ) {
        let timed = marks(&list);
        let classes = classify(&timed, from_start);
        prop_assert_eq!(classes.len(), list.len() + 1);
        let calls = list.iter().filter(|mark| mark.begins_step()).count();
        let mut steps: Vec<_> = classes.iter().filter_map(|class| class.step).collect();
        prop_assert!(steps.is_sorted());
        steps.dedup();
        prop_assert_eq!(steps, (0..calls as u32).collect::<Vec<_>>());
    }
}
