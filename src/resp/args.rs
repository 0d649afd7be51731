//! The arguments of one command: ranges over the bytes they arrived in, so that nothing is copied.

use std::fmt;

/// One command's arguments, borrowed from a read buffer. `args[0]` is the command's name.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    ranges: &'a [(u32, u32)],
}

impl<'a> Args<'a> {
    /// `ranges` are (start, end) offsets into `buf`.
    #[inline]
    pub fn new(buf: &'a [u8], ranges: &'a [(u32, u32)]) -> Self {
        Args { buf, ranges }
    }

    /// How many arguments there are, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// True for a blank line or `*0`, which Redis ignores.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The argument at `i`, if there is one.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        self.ranges.get(i).map(|&(start, end)| &self.buf[start as usize..end as usize])
    }

    /// The arguments from `from` on.
    #[inline]
    pub fn skip(&self, from: usize) -> Args<'a> {
        Args { buf: self.buf, ranges: &self.ranges[from.min(self.ranges.len())..] }
    }

    /// The argument at `i` alone.
    pub fn only(&self, i: usize) -> Args<'a> {
        let end = (i + 1).min(self.ranges.len());
        Args { buf: self.buf, ranges: &self.ranges[i.min(end)..end] }
    }

    /// Where the argument at `i` is.
    pub fn range(&self, i: usize) -> (u32, u32) {
        self.ranges.get(i).copied().unwrap_or_default()
    }

    /// Arguments out of the same bytes.
    pub fn with<'b>(&self, ranges: &'b [(u32, u32)]) -> Args<'b>
    where
        'a: 'b,
    {
        Args { buf: self.buf, ranges }
    }

    /// The arguments as a request.
    pub fn encode(&self) -> Vec<u8> {
        let mut number = itoa::Buffer::new();
        let mut out =
            Vec::with_capacity(self.iter().map(<[u8]>::len).sum::<usize>() + 16 * (self.ranges.len() + 1));
        let mut header = |out: &mut Vec<u8>, kind, n| {
            out.push(kind);
            out.extend_from_slice(number.format(n).as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        header(&mut out, b'*', self.ranges.len());
        for arg in self.iter() {
            header(&mut out, b'$', arg.len());
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    /// The command's name as one number, its first byte lowest, with the bit set that tells case: equal to that
    /// of a name of letters only if it is that name. None unless it is short and eight bytes are to be read.
    #[inline]
    pub fn name_word(&self) -> Option<u64> {
        let &(start, end) = self.ranges.first()?;
        let eight = self.buf.get(start as usize..start as usize + 8)?.first_chunk()?;
        let behind = 64u32.checked_sub(8 * (end - start).min(9))?;
        Some((u64::from_le_bytes(*eight) | 0x2020_2020_2020_2020) & u64::MAX.checked_shr(behind)?)
    }

    /// A copy that owns its bytes.
    pub fn to_owned(&self) -> ArgVec {
        let mut own = ArgVec {
            buf: Vec::with_capacity(self.iter().map(<[u8]>::len).sum()),
            ranges: Vec::with_capacity(self.len()),
        };
        self.iter().for_each(|arg| own.push(arg));
        own
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone + use<'a> {
        let buf = self.buf;
        self.ranges.iter().map(move |&(start, end)| &buf[start as usize..end as usize])
    }
}

impl std::ops::Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, i: usize) -> &[u8] {
        let (start, end) = self.ranges[i];
        &self.buf[start as usize..end as usize]
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

/// Arguments that own their bytes: commands queued by MULTI, and commands the proxy makes itself.
#[derive(Clone, Default)]
pub struct ArgVec {
    buf: Vec<u8>,
    ranges: Vec<(u32, u32)>,
}

impl ArgVec {
    /// Adds one argument.
    pub fn push(&mut self, arg: &[u8]) {
        let start = self.buf.len() as u32;
        self.buf.extend_from_slice(arg);
        self.ranges.push((start, self.buf.len() as u32));
    }

    /// Forgets the arguments and keeps the memory.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.ranges.clear();
    }

    /// The arguments, borrowed.
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.buf, &self.ranges)
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for ArgVec {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let mut out = ArgVec::default();
        iter.into_iter().for_each(|arg| out.push(arg.as_ref()));
        out
    }
}
