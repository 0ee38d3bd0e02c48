//! The pages of a run and of an experiment, in a real browser.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::{
    browser::{Browser, Picture},
    disk::FileSystem,
    model_file::ModelFile,
    plan::ReadPlan,
    reader::ReadMode,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, is_emulated},
    shapes::FILE_BYTES,
};

/// In a guest there is no browser, whatever is installed on the machine around it: the case is not among its tests, rather
/// than one that was skipped.
pub fn cases() -> Vec<Case> {
    if is_emulated() {
        eprintln!("page:: has no tests of a guest: no browser is there");
        return Vec::new();
    }
    vec![
        case("page::in_a_browser", |ground, _| in_a_browser(ground)),
        case("page::of_an_experiment", |ground, _| {
            of_an_experiment(ground)
        }),
    ]
}

/// The charts of a run of a reader: drawn at all widths, light and dark, with the record's figures, and usable.
fn in_a_browser(ground: &Ground) -> Result<()> {
    let mut browser = Browser::start(&ground.scratch)?;
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "<b>model", FILE_BYTES)?;
    let plan = ReadPlan::sequential(FILE_BYTES, 64 << 10);
    let reader = ground.reader(&file, &plan, ReadMode::Direct)?;
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .reader(&reader)
        .run()?;
    run.finished.succeeded().context("the traced run")?;
    let record = run.record()?;
    let page = run.directory.join("report.html");

    check_looks(&mut browser, &page, 8)?;
    for (chart, column, member) in [
        ("latency", 2, "latency_us.count"),
        ("gaps", 2, "gaps.count"),
    ] {
        let sum = format!(
            "[...document.querySelectorAll('#{chart} tbody tr')].reduce((sum, row) => sum + Number(row.cells[{column}].textContent.replaceAll(',', '')), 0)"
        );
        let (shown, recorded) = (browser.value(&sum)?, record.count(member)?);
        ensure!(
            shown == json!(recorded),
            "{chart}: {shown} in the page, {recorded} in the record"
        );
    }
    check_name(&mut browser, "<b>model")?;
    use_a_chart(&mut browser)?;
    check_silent(&mut browser)
}

/// What was varied has its charts, whose rows stand in the order of their values.
fn of_an_experiment(ground: &Ground) -> Result<()> {
    Browser::look_for()?;
    let disk = ground.disk(FileSystem::Ext4)?;
    ModelFile::contiguous(&disk, "<b>model", FILE_BYTES)?;
    let plan = disk.mount_point().join("plan.toml");
    fs::write(
        &plan,
        r#"
name = "<i>page"
seed = 5
repetitions = 2
time_limit = "2m"
[engine]
adapter = "command"
command = ["sh", "-c", "cat '{model}' > /dev/null; echo '[ Prompt: 20.1 t/s | Generation: {tokens}.5 t/s ]'"]
[axes]
model = ["<b>model"]
pressure = ["memory-max=100M", "memory-max=200M"]
tokens = [10, 9]
"#,
    )
    .context("write the plan")?;
    let out = ground.scratch.fresh_path("experiment");
    TracerCall::bare(&ground.scratch, &["experiment", "run"])?
        .adjusted(|command| {
            command.arg(&plan).arg("--out").arg(&out);
        })
        .run()?
        .finished
        .succeeded()
        .context("the experiment")?;
    let mut browser = Browser::start(&ground.scratch)?;
    check_looks(&mut browser, &out.join("report.html"), 2)?;
    check_name(&mut browser, "<b>model")?;
    check_name(&mut browser, "<i>page")?;
    // A chart's points are moves in one path.
    let points = "[...document.querySelectorAll('figure')].map((figure) => [...figure.querySelectorAll('.wide svg.chart path.dot')].reduce((sum, path) => sum + path.getAttribute('d').split('M').length - 1, 0))";
    let points: Vec<u64> = serde_json::from_value(browser.value(points)?)?;
    ensure!(
        points.iter().filter(|points| **points >= 4).count() >= 2,
        "hardly a run is a point: {points:?}"
    );
    // Of the table behind a chart: what a cell is called.
    let rows = "[...document.querySelectorAll('#cells-speed tbody tr')].map((row) => row.cells[0].textContent)";
    let rows: Vec<String> = serde_json::from_value(browser.value(rows)?)?;
    ensure!(
        rows == [
            "200.00 MiB · 9",
            "200.00 MiB · 10",
            "100.00 MiB · 9",
            "100.00 MiB · 10"
        ],
        "the cells stand in the order {rows:?}"
    );
    check_silent(&mut browser)
}

/// The page is drawn at each width, light and dark, and no wider than the window; so are its charts, of which there are
/// so many at least.
fn check_looks(browser: &mut Browser, page: &Path, least_charts: u64) -> Result<()> {
    let mut charts = Vec::new();
    for width in [390, 900, 1600] {
        for dark in [false, true] {
            browser.open(page, width, dark)?;
            let wide = browser.value("document.documentElement.scrollWidth")?;
            ensure!(wide == json!(width), "{wide} wide in a window of {width}");
            let seen = "[...document.querySelectorAll('figure')].every((figure) => [...figure.querySelectorAll('svg.chart')].filter((svg) => svg.getBoundingClientRect().height > 50).length === 1)";
            ensure!(
                browser.value(seen)? == json!(true),
                "a chart is not drawn at {width}"
            );
            check_window(&browser.screenshot()?, width, dark)?;
            if width == 900 {
                charts.push(check_charts(browser, least_charts)?);
            }
        }
    }
    let [light, dark] = &charts[..] else {
        anyhow::bail!("not both looks");
    };
    for ((name, light), (_, dark)) in light.iter().zip(dark) {
        // What fills a chart has about the same colour in both.
        ensure!(
            light.lightness > dark.lightness + 0.05,
            "chart {name} is as light in the dark: {light:?}, {dark:?}"
        );
    }
    Ok(())
}

/// What foreign text has is shown as it is, and is no markup.
fn check_name(browser: &mut Browser, name: &str) -> Result<()> {
    ensure!(
        browser.value("document.querySelectorAll('b, i').length")? == json!(0),
        "a name is markup"
    );
    let shown = format!("document.body.textContent.includes({})", json!(name));
    ensure!(
        browser.value(&shown)? == json!(true),
        "the name {name:?} is missing"
    );
    Ok(())
}

/// No error was reported, and nothing was asked for but the page itself.
fn check_silent(browser: &mut Browser) -> Result<()> {
    let asked =
        browser.value("performance.getEntriesByType('resource').map((entry) => entry.name)")?;
    ensure!(asked == json!([]), "the page has asked for {asked}");
    ensure!(browser.errors().is_empty(), "{:?}", browser.errors());
    Ok(())
}

/// A window that shows something, and is as light or as dark as was asked for.
fn check_window(picture: &Picture, width: u32, dark: bool) -> Result<()> {
    ensure!(
        (picture.width, picture.height) == (width, 900),
        "{picture:?} in a window of {width}"
    );
    ensure!(
        picture.colours >= 20 && picture.most_frequent < 0.97,
        "nearly nothing is shown: {picture:?}"
    );
    let fits = if dark {
        picture.lightness < 0.35
    } else {
        picture.lightness > 0.75
    };
    ensure!(fits, "too light or too dark: {picture:?}");
    Ok(())
}

/// Every chart that the page shows is drawn: it has axes, words and something in a colour.
fn check_charts(browser: &mut Browser, least: u64) -> Result<Vec<(String, Picture)>> {
    let charts = browser.value("document.querySelectorAll('.wide svg.chart').length")?;
    let charts = charts.as_u64().context("no number of charts")?;
    ensure!(charts >= least, "only {charts} charts");
    let mut pictures = Vec::new();
    for at in 0..charts {
        let chart = format!("document.querySelectorAll('.wide svg.chart')[{at}]");
        let picture = browser.picture_of(&chart)?;
        let name = browser.value(&format!("{chart}.id"))?;
        ensure!(
            picture.colours >= 8 && picture.most_frequent < 0.985,
            "chart {name} is as good as empty: {picture:?}"
        );
        pictures.push((name.to_string(), picture));
    }
    Ok(pictures)
}

/// Pointing, looking closer, going back, the keyboard, the fold.
fn use_a_chart(browser: &mut Browser) -> Result<()> {
    const SVG: &str = "document.querySelector('#bandwidth-time .wide svg.chart')";
    let said = "document.querySelector('#bandwidth-time output').textContent";
    let moved = format!("{SVG}.querySelector('.moves').getAttribute('transform')");
    browser.value(&format!("{SVG}.scrollIntoView({{block: 'center'}})"))?;
    let place = browser.value(&format!(
        "(() => {{ const box = {SVG}.querySelector('svg.plot').getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; }})()"
    ))?;
    let place: Vec<f64> = serde_json::from_value(place)?;
    let [left, top, width, height] = place[..] else {
        anyhow::bail!("no plot");
    };
    let (x, y) = (|part: f64| left + part * width, top + height / 2.0);
    browser.mouse("mouseMoved", x(0.5), y)?;
    let pointed = browser.value(said)?;
    ensure!(
        pointed.as_str().is_some_and(|text| text.contains("/s")),
        "pointing says {pointed}"
    );
    browser.mouse("mousePressed", x(0.25), y)?;
    browser.mouse("mouseMoved", x(0.5), y)?;
    browser.mouse("mouseReleased", x(0.5), y)?;
    let closer = browser.value(&moved)?;
    ensure!(
        closer.as_str().is_some_and(|text| text.contains("scale(4")),
        "not four times closer: {closer}"
    );
    ensure!(
        browser.value("document.querySelector('#bandwidth-time button').hidden")? == json!(false),
        "no way back"
    );
    browser.value("document.querySelector('#bandwidth-time button').click()")?;
    let whole = browser.value(&moved)?;
    ensure!(
        whole.as_str().is_some_and(|text| text.contains("scale(1 ")),
        "not whole again: {whole}"
    );
    browser.value(&format!(
        "{SVG}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'ArrowRight'}}))"
    ))?;
    ensure!(
        browser.value(said)? != json!(""),
        "the keyboard says nothing"
    );
    browser.value("document.querySelector('#bandwidth-time summary').click()")?;
    let shown =
        "document.querySelector('#bandwidth-time table').getBoundingClientRect().height > 20";
    ensure!(
        browser.value(shown)? == json!(true),
        "the fold does not open"
    );
    Ok(())
}
