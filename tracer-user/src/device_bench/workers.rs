//! Makes reads, so many at a time, and takes the time.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::schema::RoundRecord;

use super::{
    direct_file::{Buffer, DirectFile},
    error::DeviceTestError,
    patterns::Request,
};

/// What one thread did.
#[derive(Debug, Default)]
struct Share {
    bytes: u64,
    latencies: Vec<Duration>,
    /// Start of its first read and end of its last one.
    span: Option<(Instant, Instant)>,
}

/// Makes reads in their order, `depth` at a time, until all are made, the time is up or it is told to stop. None where
/// not one came back.
///
/// # Errors
/// A read failed; no threads or memory.
pub fn read_all(
    file: &DirectFile,
    requests: &[Request],
    depth: usize,
    limit: Duration,
    stop: &AtomicBool,
) -> Result<Option<RoundRecord>, DeviceTestError> {
    let depth = depth.clamp(1, requests.len().max(1));
    let largest = requests
        .iter()
        .map(|request| request.length_bytes)
        .max()
        .unwrap_or(0);
    let mut buffers = (0..depth)
        .map(|_| Buffer::new(largest))
        .collect::<Result<Vec<_>, _>>()?;
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<DeviceTestError>> = Mutex::new(None);
    // Starting a thread takes longer than a read: all wait for the last one.
    let ready = Barrier::new(depth);
    let shares: Vec<Share> = thread::scope(|scope| {
        let mut threads = Vec::with_capacity(depth);
        for buffer in &mut buffers {
            let (next, failed, ready) = (&next, &failed, &ready);
            threads.push(scope.spawn(move || {
                ready.wait();
                let begin = Instant::now();
                let mut share = Share::default();
                while !stop.load(Ordering::Relaxed) && begin.elapsed() < limit {
                    let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let issued = Instant::now();
                    match file.read(*request, buffer) {
                        Ok(bytes) => share.bytes += bytes,
                        Err(error) => {
                            // The others stop where the list seems to end.
                            next.store(requests.len(), Ordering::Relaxed);
                            if let Ok(mut failed) = failed.lock() {
                                failed.get_or_insert(error);
                            }
                            break;
                        }
                    }
                    let end = Instant::now();
                    share.latencies.push(end - issued);
                    share.span = Some((share.span.map_or(issued, |span| span.0), end));
                }
                share
            }));
        }
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    if let Some(error) = failed.into_inner().ok().flatten() {
        return Err(error);
    }
    let mut latencies: Vec<Duration> = shares
        .iter()
        .flat_map(|share| share.latencies.iter().copied())
        .collect();
    latencies.sort_unstable();
    let spans = || shares.iter().filter_map(|share| share.span);
    let (Some(start), Some(end), Some(median)) = (
        spans().map(|span| span.0).min(),
        spans().map(|span| span.1).max(),
        latencies.get(latencies.len() / 2),
    ) else {
        return Ok(None);
    };
    Ok(Some(RoundRecord {
        reads: latencies.len() as u64,
        bytes: shares.iter().map(|share| share.bytes).sum(),
        // The clock cannot stand still over a read of a device; a figure is never divided by 0.
        seconds: (end - start).as_secs_f64().max(1e-9),
        median_latency_us: median.as_secs_f64() * 1e6,
        cut_short: latencies.len() < requests.len(),
    }))
}
