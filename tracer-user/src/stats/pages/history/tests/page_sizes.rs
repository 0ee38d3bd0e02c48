//! Kernels with larger pages.

use super::*;

#[test]
fn pages_of_16_and_64_kib_are_counted_in_bytes_of_the_file() {
    for page_bytes in [16 << 10, 64 << 10] {
        let table = PieceTable::new(vec![vec![
            span(0, 1000, 0),
            span(1000, 2 * page_bytes + 5000, 1),
        ]])
        .expect("valid")
        .with_page_bytes(page_bytes);
        let mut history = PageHistory::new(Arc::new(table), TouchEvents::Observed).expect("small");
        history.insert(0, 0, 3, TIME);
        history.insert(0, 3, 1, TIME);
        history.evict(0, 1, 1, EvictionAgent::Kswapd);
        history.insert(0, 1, 1, TIME);
        let figures = history.figures();
        assert_eq!((figures.file_pages, figures.pages_beyond_end), (3, 1));
        let size = 2 * page_bytes + 5000;
        assert_eq!(figures.cache.inserted_bytes, size + page_bytes);
        assert_eq!(figures.cache.evicted_bytes, page_bytes);
        assert_eq!(figures.cache.refaulted_bytes, page_bytes);
        assert_eq!(figures.cache.miss_stream_distance_p50_bytes, Some(0));
        let pieces = history.piece_figures();
        assert_eq!(pieces[0].inserted_bytes, 1000);
        assert_eq!(pieces[1].inserted_bytes, size - 1000 + page_bytes);
    }
}
