//! Lines out of a file of any size, compressed or not, in constant memory. Used by the archive scan.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// The longest line that is looked at, in bytes; the longest genuine ones hold a few megabytes.
pub const LONGEST_LINE: usize = 64 << 20;

const READ_AT_ONCE: usize = 1 << 18;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The bytes.
    Whole(&'a [u8]),
    /// Longer than [`LONGEST_LINE`]; passed over.
    TooLong,
}

/// The lines of a reader.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    longest: usize,
    ended: bool,
}

/// A file's content, whether or not it was packed.
pub struct Unpacked {
    content: Box<dyn Read + Send>,
    /// Whether the file is gzip.
    pub packed: bool,
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.content.read(into)
    }
}

/// Unpacks what begins with gzip's two magic bytes, also of several members, and passes on everything else.
pub fn unpack<R: Read + Send + 'static>(mut reader: R) -> io::Result<Unpacked> {
    let mut magic = Vec::with_capacity(2);
    reader.by_ref().take(2).read_to_end(&mut magic)?;
    let packed = magic == [0x1f, 0x8b];
    let whole = io::Cursor::new(magic).chain(reader);
    let content: Box<dyn Read + Send> = if packed {
        let buffered = io::BufReader::with_capacity(READ_AT_ONCE / 4, whole);
        Box::new(MultiGzDecoder::new(buffered))
    } else {
        Box::new(whole)
    };
    Ok(Unpacked { content, packed })
}

impl<R: Read> Lines<R> {
    /// The lines of `reader`.
    pub fn new(reader: R) -> Self {
        Self::bounded(reader, LONGEST_LINE)
    }

    fn bounded(reader: R, longest: usize) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            longest,
            ended: false,
        }
    }

    /// The next line; a last one without a line break counts. `None` at the end.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut looked = 0;
        let mut too_long = false;
        loop {
            let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', waiting.get(looked..).unwrap_or_default()) {
                let from = self.start;
                self.start += looked + at + 1;
                return Ok(Some(self.line(from, from + looked + at, too_long)));
            }
            looked = waiting.len();
            if looked > self.longest {
                too_long = true;
                self.start = self.end;
                looked = 0;
            }
            if self.ended || self.fill()? == 0 {
                self.ended = true;
                let (from, to) = (self.start, self.end);
                self.start = self.end;
                return Ok((from < to || too_long).then(|| self.line(from, to, too_long)));
            }
        }
    }

    fn line(&self, from: usize, to: usize, too_long: bool) -> Line<'_> {
        match self.buffer.get(from..to) {
            Some(line) if !too_long && line.len() <= self.longest => Line::Whole(line.trim_ascii_end()),
            _ => Line::TooLong,
        }
    }

    /// Moves what is left to the front and reads on behind it; the number of bytes read.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() - self.end < READ_AT_ONCE / 2 {
            let wanted = (self.buffer.len() * 2).max(READ_AT_ONCE);
            self.buffer.resize(wanted, 0);
        }
        loop {
            match self.reader.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Gives out a few bytes at a time.
    struct Drip(io::Cursor<Vec<u8>>, usize);

    impl Read for Drip {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(into.len());
            self.0.read(&mut into[..most])
        }
    }

    fn all<R: Read>(mut lines: Lines<R>) -> Vec<Option<String>> {
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push(match line {
                Line::Whole(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                Line::TooLong => None,
            });
        }
        found
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        for step in [1, 2, 3, 100] {
            let drip = Drip(io::Cursor::new(b"one\r\n\ntwo\nthree".to_vec()), step);
            assert_eq!(
                all(Lines::new(drip)),
                ["one", "", "two", "three"].map(|line| Some(line.to_owned())),
                "{step}"
            );
        }
    }

    #[test]
    fn a_line_beyond_the_bound_is_passed_over_and_the_next_one_read() {
        for step in [1, 7, 100] {
            let drip = Drip(
                io::Cursor::new(b"short\nmuch too long\nnext\nlong at the end".to_vec()),
                step,
            );
            assert_eq!(
                all(Lines::bounded(drip, 6)),
                [Some("short".to_owned()), None, Some("next".to_owned()), None],
                "{step}"
            );
        }
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_all_its_members_are_read() {
        let twice = [packed("one\ntw"), packed("o\n")].concat();
        let unpacked = |bytes: Vec<u8>| all(Lines::new(unpack(Drip(io::Cursor::new(bytes), 5)).unwrap()));
        assert_eq!(unpacked(twice), ["one", "two"].map(|line| Some(line.to_owned())));
        assert_eq!(unpacked(b"plain\n".to_vec()), [Some("plain".to_owned())]);
        assert_eq!(unpacked(Vec::new()), []);
    }

    #[test]
    fn a_file_that_ends_too_early_is_an_error_after_its_whole_lines() {
        let mut cut = packed(&"a line\n".repeat(1000));
        cut.truncate(cut.len() - 4);
        let mut lines = Lines::new(unpack(io::Cursor::new(cut)).unwrap());
        let mut read = 0;
        let error = loop {
            match lines.next_line() {
                Ok(Some(_)) => read += 1,
                Ok(None) => panic!("the end was not missed"),
                Err(error) => break error,
            }
        };
        assert_eq!((read, error.kind()), (1000, io::ErrorKind::UnexpectedEof));
    }
}
