//! What others do to the device meanwhile.

use crate::{
    advice::{Answer, Cause, Cost, Evidence, Facts, Present},
    stats::formulas::ratio,
    units::{bytes, share},
};

/// Share of the device's bytes. An otherwise quiet machine shows below 1 % here (the demo: 0.3 %).
const MATERIAL: f64 = 0.2;

pub const OTHER_LOAD: Cause = Cause {
    name: "other_load",
    title: "Others read from or write to the same disk",
    bounds: "at least 20 % of the bytes that the disk moved in the run were not of the model. A quiet machine has below 1 %. Its time is the time that the engine waited for the model, by these bytes' share: an estimate.",
    refuted_by: "`devices[].other_read_bytes` and `devices[].write_bytes` near 0; or the same speed in a run without the others.",
    remedy: "Find who it is (`iotop -o`, or the `device_share` table of the report: it tells the engine's other files from other processes), stop it or move it or the model to another disk, and run again.",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let Some(device) = facts.device else {
        return facts.missing("What the device did for others", "devices");
    };
    let others = device.other_read_bytes.saturating_add(device.write_bytes);
    let all = device.read_bytes.saturating_add(device.write_bytes);
    let Some(part) = ratio(others, all) else {
        return Answer::absent("the disk moved nothing");
    };
    if part < MATERIAL {
        return Answer::absent(format!(
            "{} of the disk's bytes were for others",
            share(Some(part))
        ));
    }
    let Some(stall) = facts.stall() else {
        return facts.missing("The time that the engine waited", "phases[].waits.stall_s");
    };
    if stall <= 0.0 {
        return Answer::absent("the engine waited for nothing that others could have slowed down");
    }
    let mut evidence = vec![
        Evidence::new(
            "devices[].other_read_bytes",
            format!("read from {} for others", device.name),
            bytes(device.other_read_bytes),
        ),
        Evidence::new(
            "devices[].write_bytes",
            format!("written to {}", device.name),
            bytes(device.write_bytes),
        ),
        Evidence::new(
            "devices[].read_bytes",
            "share of all bytes that the disk moved",
            share(Some(part)),
        ),
    ];
    let largest = facts
        .run
        .device_share
        .iter()
        .find(|of_device| of_device.device == device.name)
        .and_then(|of_device| {
            let others = of_device
                .classes
                .iter()
                .filter(|class| !class.class.starts_with("model"));
            others.max_by_key(|class| class.bytes)
        });
    if let Some(class) = largest {
        evidence.push(Evidence::new(
            "device_share[].classes",
            format!("most of the reads: {}", class.class),
            bytes(class.bytes),
        ));
    }
    Answer::Present(Present {
        cost: Cost::about(Some(stall * part)),
        evidence,
        ..Present::default()
    })
}
