//! Streams against a plain list of entries: same questions, same answers.

//! Streams against a sorted vector.

use super::*;

type Model = Vec<(Id, Vec<(Vec<u8>, Vec<u8>)>)>;

fn contents<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Model {
    let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    entries.map(|entry| (entry.id, entry.pairs().map(owned).collect())).collect()
}

fn real_heap(stream: &Stream) -> usize {
    stream.nodes.iter().map(Node::heap).sum::<usize>()
        + allocated(stream.nodes.capacity() * size_of::<Node>())
}

fn random_pairs() -> Vec<(Vec<u8>, Vec<u8>)> {
    let usual = fastrand::bool();
    let width = if usual { 2 } else { fastrand::usize(1..4) };
    let len = if fastrand::u32(0..50) == 0 { 5000 } else { 40 };
    let name =
        |i: usize| if usual { vec![b'f', i as u8] } else { vec![fastrand::u8(..); fastrand::usize(0..9)] };
    (0..width).map(|i| (name(i), vec![fastrand::u8(..); fastrand::usize(0..len)])).collect()
}

#[test]
fn agrees_with_a_sorted_vector() {
    let (mut stream, mut model, mut added) = (Stream::default(), Model::new(), 0);
    let some_id = || Id { ms: fastrand::u64(0..3000), seq: fastrand::u64(0..5) };
    for step in 0..20_000 {
        match fastrand::u32(0..20) {
            0..=10 => {
                let pairs = random_pairs();
                let borrowed: Vec<_> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
                let ms = stream.last_id.ms + fastrand::u64(0..2);
                // A new millisecond, and in it a smaller number than the node's first has.
                let seq = if ms > stream.last_id.ms { fastrand::u64(0..9) } else { stream.last_id.seq + 1 };
                let id = stream.add(NewId::Exactly(Id { ms, seq }), 0, &borrowed);
                if (Id { ms, seq }) == Id::MIN {
                    assert_eq!(id, Err(Refused::NotGreater));
                    continue;
                }
                assert_eq!(id, Ok(Id { ms, seq }));
                model.push((Id { ms, seq }, pairs));
                added += 1;
            }
            11..=15 => {
                let picked = model.get(fastrand::usize(0..model.len() + 1)).map(|entry| entry.0);
                let id = picked.unwrap_or_else(some_id);
                let index = model.iter().position(|entry| entry.0 == id);
                assert_eq!(stream.remove(id), index.is_some());
                index.map(|index| model.remove(index));
            }
            16 => {
                let count = fastrand::usize(0..1500);
                let removed = stream.trim(Trim { keep: Keep::Newest(count), about: false, limit: 0 });
                assert_eq!(removed, model.len().saturating_sub(count));
                model.drain(..removed);
            }
            17 => {
                let id = Id { ms: stream.last_id.ms.saturating_sub(fastrand::u64(0..1500)), seq: 3 };
                let removed = stream.trim(Trim { keep: Keep::From(id), about: false, limit: 0 });
                assert_eq!(removed, model.iter().filter(|entry| entry.0 < id).count());
                model.drain(..removed);
            }
            18 => {
                let (count, limit) = (fastrand::usize(0..500), fastrand::usize(1..500));
                let removed = stream.trim(Trim { keep: Keep::Newest(count), about: true, limit });
                assert!(removed <= limit && removed <= model.len().saturating_sub(count));
                model.drain(..removed);
            }
            _ => {
                let pick =
                    || model.get(fastrand::usize(0..model.len() + 1)).map_or_else(some_id, |entry| entry.0);
                let range = pick()..=pick();
                let within = model.iter().filter(|entry| range.contains(&entry.0)).cloned();
                assert_eq!(
                    contents(stream.range(range.clone()).rev()),
                    within.clone().rev().collect::<Model>()
                );
                assert_eq!(contents(stream.range(range.clone())), within.collect::<Model>());
            }
        }
        assert_eq!((stream.len(), stream.added), (model.len(), added));
        if step % 200 == 0 {
            assert_eq!(contents(stream.entries()), model);
            assert_eq!(stream.heap(), real_heap(&stream));
            let copy = stream.clone();
            assert_eq!(contents(copy.entries()), model);
            assert_eq!(copy.heap(), real_heap(&copy));
        }
    }
    stream.trim(Trim { keep: Keep::Newest(0), about: false, limit: 0 });
    assert_eq!((stream.len(), stream.heap()), (0, 0));
}

#[test]
fn new_ids_grow() {
    let mut stream = Stream::default();
    let pairs: &[(&[u8], &[u8])] = &[(b"a", b"b")];
    let id = |ms, seq| Ok(Id { ms, seq });
    assert_eq!(stream.add(NewId::Within(0), 5, pairs), id(0, 1));
    assert_eq!(stream.add(NewId::Auto, 5, pairs), id(5, 0));
    assert_eq!(stream.add(NewId::Auto, 4, pairs), id(5, 1));
    assert_eq!(stream.add(NewId::Within(4), 9, pairs), Err(Refused::NotGreater));
    stream.last_id.seq = u64::MAX;
    assert_eq!(stream.add(NewId::Within(5), 5, pairs), Err(Refused::TooLarge));
    assert_eq!(stream.add(NewId::Auto, 5, pairs), id(6, 0));
    stream.last_id = Id::MAX;
    assert_eq!(stream.add(NewId::Auto, 5, pairs), Err(Refused::Exhausted));
}

#[test]
fn radix_trees_have_nodes_where_keys_part() {
    let nodes = |ids: &[(u64, u64)]| {
        let keys: Vec<_> = ids.iter().map(|&(ms, seq)| Id { ms, seq }.to_bytes()).collect();
        radix_nodes(&keys, 0)
    };
    assert_eq!(nodes(&[(1, 1)]), 2);
    // What they share, where they part, two ends.
    assert_eq!(nodes(&[(1, 1), (1, 2)]), 4);
    // The same, and each has something more.
    assert_eq!(nodes(&[(1, 0), (2, 0)]), 6);
}
