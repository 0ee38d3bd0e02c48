//! scratch
use tracer_user::kernel::*;
use tracer_common::{extent::Extent, page::FileKey, settings::DeviceFilter};
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    for r in requirements() { println!("{r:?}"); }
    let a: Vec<u64> = std::env::args().skip(1).map(|v| v.parse().unwrap()).collect();
    let tables = FilterTables {
        devices: vec![DeviceFilter { major: 254, first_minor: 0, first_extent: 0, extents: 1, first_slot: 0, tags: 1024, hardware_queues: 1, reserved: 0 }],
        extents: vec![Extent { start_sector: a[0], end_sector: a[1], first_bit: 0, beyond_end_bytes: 0, model: 0, file: 0 }],
        models: 1,
        files: vec![(FileKey { inode: a[2], device: 254 << 20 }, (a[1]-a[0])/8)],
    };
    let mut s = Session::start(tables, SessionOptions { ring_buffer_bytes: 1 << 20, diagnostics: false, measure_overhead: true })?;
    s.open_gate()?;
    let t = std::time::Instant::now();
    let mut n = 0;
    while t.elapsed().as_secs() < 6 {
        let _ = tokio::time::timeout(WAKE_INTERVAL, s.filling()).await;
        n += s.drain(|_r| ())?;
    }
    s.close_gate()?;
    n += s.drain(|r| println!("{r:?}"))?;
    println!("{n} {:#?} {:#?}", s.aggregates()?, s.program_runs()?);
    Ok(())
}
