//! Devices, the engine's buffers and mappings, and what the programs cost.

use crate::{
    report::{
        document::{Column, Document, Table, Text},
        model_tables,
    },
    schema::{BudgetRecord, RunRecord},
    units::{bytes, count, observed_bytes, share, unobserved},
};

pub(super) fn write(document: &mut Document, record: &RunRecord) {
    document.heading(3, "Devices");
    document.table(model_tables::devices(&record.devices));
    device_share(document, record);
    buffers(document, record);
    mappings(document, record);
    programs(document, record);
}

/// How the bytes of each device divide.
fn device_share(document: &mut Document, record: &RunRecord) {
    for device in &record.device_share {
        document.heading(3, format!("Bytes read from {}", device.device));
        let mut table = Table::new([
            Column::left("class"),
            Column::right("bytes"),
            Column::right("share"),
        ]);
        for class in &device.classes {
            table.row([class.class.clone(), bytes(class.bytes), share(class.share)]);
        }
        table.row(["all reads", &bytes(device.read_bytes)]);
        let counted = observed_bytes(device.statistics_bytes);
        table.row(["the device's own counter", &counted]);
        document.table(table);
    }
}

/// What the engine's log says of its memory.
fn buffers(document: &mut Document, record: &RunRecord) {
    if record.engine.buffers.is_empty() {
        return;
    }
    document.heading(3, "Buffers of the engine, by its log");
    let rows = record.engine.buffers.iter().map(|buffer| {
        [
            buffer.device.clone().unwrap_or_else(unobserved),
            buffer.purpose.replace('_', " "),
            bytes(buffer.bytes),
        ]
    });
    let columns = [
        Column::left("memory"),
        Column::left("for"),
        Column::right("size"),
    ];
    document.table(Table::new(columns).with_rows(rows));
}

fn mappings(document: &mut Document, record: &RunRecord) {
    let Some(mappings) = &record.process.mappings else {
        return;
    };
    document.heading(3, format!("Largest mappings, {}", mappings.taken_at));
    let rows = mappings.largest.iter().map(|mapping| {
        [
            mapping.address.clone(),
            mapping.permissions.clone(),
            bytes(mapping.size_bytes),
            observed_bytes(mapping.rss_bytes),
            observed_bytes(mapping.anonymous_bytes),
            observed_bytes(mapping.locked_bytes),
            mapping.path.clone(),
        ]
    });
    let columns = [
        Column::left("address"),
        Column::left("mode"),
        Column::right("size"),
        Column::right("resident"),
        Column::right("anonymous"),
        Column::right("locked"),
        Column::left("mapped"),
    ];
    document.table(Table::new(columns).with_rows(rows));
}

fn budget_line(budget: &BudgetRecord) -> String {
    let Some(highest) = &budget.highest else {
        return format!(
            "The run ended before its cost was measured against the budget of {} %.",
            budget.percent
        );
    };
    format!(
        "Budget {} % of the CPU time of all CPUs; measured {} times, at most {:.2} % (programs {:.2} %{}, tracer {:.2} %), after {:.1} s.",
        budget.percent,
        budget.measurements,
        highest.percent(),
        highest.programs_percent,
        if highest.estimated {
            " by estimate"
        } else {
            ""
        },
        highest.tracer_percent,
        highest.at_s
    )
}

/// Run time of the programs.
fn programs(document: &mut Document, record: &RunRecord) {
    document.heading(3, "What the programs cost");
    if let Some(budget) = &record.overhead.budget {
        document.paragraph(budget_line(budget));
    }
    if record.overhead.programs.is_empty() {
        document.paragraph(
            Text::plain("The programs' own run time was not measured (")
                .code("--measure-overhead")
                .then(")."),
        );
        return;
    }
    let rows = record.overhead.programs.iter().map(|program| {
        let mean = program.total_ns.checked_div(program.calls);
        [
            program.program.clone(),
            count(program.calls),
            format!("{:.3} ms", program.total_ns as f64 / 1e6),
            mean.map_or_else(unobserved, |mean| format!("{mean} ns")),
        ]
    });
    let columns = [
        Column::left("program"),
        Column::right("calls"),
        Column::right("time"),
        Column::right("a call"),
    ];
    document.table(Table::new(columns).with_rows(rows));
}
