//! LCS: the longest common subsequence of two strings.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX};
use super::number::int_arg;

/// The commands.
pub const ROWS: &[Row] = &[Row::read("LCS", -3, KeyArgs::TWO, lcs)];

/// The table of the algorithm may take this much: Redis's proto-max-bulk-len.
const MAX_TABLE: usize = 512 << 20;

#[derive(Default)]
struct Options {
    index: bool,
    length: bool,
    min_match: usize,
    with_length: bool,
}

/// Where a common run of bytes is in both strings, inclusive.
struct Run {
    a: (usize, usize),
    b: (usize, usize),
}

impl Run {
    fn len(&self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

fn parse(ctx: &Ctx) -> Result<Options, Fault> {
    let (mut options, mut i) = (Options::default(), 3);
    while let Some(option) = ctx.args.get(i) {
        match option.to_ascii_lowercase().as_slice() {
            b"idx" => options.index = true,
            b"len" => options.length = true,
            b"withmatchlen" => options.with_length = true,
            b"minmatchlen" if i + 1 < ctx.args.len() => {
                options.min_match = int_arg(ctx.arg(i + 1))?.max(0) as usize;
                i += 1;
            }
            _ => return Err(SYNTAX),
        }
        i += 1;
    }
    Ok(options)
}

fn lcs(ctx: &mut Ctx) -> Result<(), Fault> {
    let mut strings = [Vec::new(), Vec::new()];
    for (i, string) in strings.iter_mut().enumerate() {
        let not_string = |_| Fault::new("ERR The specified keys must contain string values");
        if let Some(mut text) = ctx.keys.text(ctx.arg(i + 1)).map_err(not_string)? {
            *string = text.bytes().to_vec();
        }
    }
    let options = parse(ctx)?;
    if options.index && options.length {
        return Err(Fault::new("ERR If you want both the length and indexes, please just use IDX."));
    }
    let [a, b] = strings;
    let table = Table::fill(&a, &b)?;
    let length = table.at(a.len(), b.len());
    if options.length {
        ctx.w.int(length.into());
        return Ok(());
    }
    if !options.index {
        ctx.w.bulk(&table.text(&a, &b));
        return Ok(());
    }
    let runs: Vec<_> = table.runs(&a, &b).into_iter().filter(|run| run.len() >= options.min_match).collect();
    ctx.w.map(2);
    ctx.w.bulk(b"matches");
    ctx.w.array(runs.len());
    for run in &runs {
        ctx.w.array(2 + usize::from(options.with_length));
        for (from, to) in [run.a, run.b] {
            ctx.w.array(2);
            ctx.w.int(from as i64);
            ctx.w.int(to as i64);
        }
        if options.with_length {
            ctx.w.int(run.len() as i64);
        }
    }
    ctx.w.bulk(b"len");
    ctx.w.int(length.into());
    Ok(())
}

/// For each pair of prefixes, the length of their longest common subsequence.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn fill(a: &[u8], b: &[u8]) -> Result<Table, Fault> {
        let width = b.len() + 1;
        let size = (a.len() + 1).checked_mul(width).filter(|size| size * 4 <= MAX_TABLE);
        let size = size.ok_or(Fault::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ))?;
        let mut cells = vec![0u32; size];
        for i in 1..=a.len() {
            let (done, row) = cells.split_at_mut(i * width);
            let above = &done[(i - 1) * width..];
            for j in 1..width {
                row[j] = if a[i - 1] == b[j - 1] { above[j - 1] + 1 } else { above[j].max(row[j - 1]) };
            }
        }
        Ok(Table { cells, width })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// Walks from the end of both strings back along a longest common subsequence, the one that Redis
    /// finds; `matched` gets the places of each common byte.
    fn walk(&self, a: &[u8], b: &[u8], mut matched: impl FnMut(usize, usize)) {
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                matched(i - 1, j - 1);
                (i, j) = (i - 1, j - 1);
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }

    fn text(&self, a: &[u8], b: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        self.walk(a, b, |i, _| text.push(a[i]));
        text.reverse();
        text
    }

    /// The last run first.
    fn runs(&self, a: &[u8], b: &[u8]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        self.walk(a, b, |i, j| match runs.last_mut() {
            Some(run) if run.a.0 == i + 1 && run.b.0 == j + 1 => (run.a.0, run.b.0) = (i, j),
            _ => runs.push(Run { a: (i, i), b: (j, j) }),
        });
        runs
    }
}
