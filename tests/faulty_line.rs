//! The firmware's application on a line that fails in every way a line can,
//! each in one frame of a hundred. Host, line and device take turns in one
//! thread: the host speaks when the device waits and nothing is on its way, so
//! that a run is the same every time and no time passes waiting.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;

use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::{Model, Session};
use bt_embed::app::{Ended, Memory, run};
use bt_embed::board::{Board, Stack, Ticks};
use bt_embed::wire::{
    DETECTION_BYTES, Decoder, Error, LineCounts, NO_TAG, PART_BYTES_MAX, Reply, Request, Statistics,
};
use bt_tests::model::{Dense, Noise};
use embedded_hal::digital::{ErrorType, OutputPin};
use embedded_io::{ErrorKind, Read, Write};

/// Requests of a run.
const REQUESTS: usize = 20_000;

/// A fault of each kind comes once in so many frames.
const ONCE_IN: u16 = 100;

/// Sendings of one request until it is given up.
const TRIES: usize = 20;

const LINE: usize = 300;
const ARENA: usize = 1000;
const CLASSES: usize = 8;

/// A read or write that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failed(ErrorKind);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Failed {}

impl embedded_io::Error for Failed {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

/// What a read gives.
#[derive(Clone, Copy, Debug)]
enum Event {
    Byte(u8),
    Fails(ErrorKind),
}

/// Faults that struck, by kind.
#[derive(Clone, Copy, Debug, Default)]
struct Struck {
    flips: u32,
    drops: u32,
    inserts: u32,
    cuts: u32,
    doubles: u32,
    floods: u32,
    read_errors: u32,
    interruptions: u32,
    write_errors: u32,
}

/// A line and the host at its other end.
struct Faulty<H> {
    host: H,
    once_in: u16,
    noise: Noise,
    struck: Struck,
    to_device: VecDeque<Event>,
    from_device: Vec<u8>,
    /// What the device said, before the line touched it.
    said: LineCounts,
}

impl<H> Faulty<H> {
    fn new(host: H, once_in: u16, seed: u32) -> Self {
        Faulty {
            host,
            once_in,
            noise: Noise::new(seed),
            struck: Struck::default(),
            to_device: VecDeque::new(),
            from_device: Vec::new(),
            said: LineCounts::default(),
        }
    }

    fn strikes(&mut self) -> bool {
        self.once_in != 0 && self.noise.bits().is_multiple_of(self.once_in)
    }

    fn place(&mut self, bytes: &[u8]) -> usize {
        usize::from(self.noise.bits()) % bytes.len()
    }

    /// What arrives of a frame.
    fn transmit(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut bytes = frame.to_vec();
        if self.strikes() {
            self.struck.flips += 1;
            let at = self.place(&bytes);
            bytes[at] ^= 1 << (self.noise.bits() % 8);
        }
        if self.strikes() {
            self.struck.drops += 1;
            bytes.remove(self.place(&bytes));
        }
        if self.strikes() {
            self.struck.inserts += 1;
            bytes.insert(self.place(&bytes), self.noise.bits() as u8);
        }
        if self.strikes() {
            self.struck.cuts += 1;
            bytes.truncate(self.place(&bytes));
        }
        if self.strikes() {
            self.struck.doubles += 1;
            bytes.extend_from_within(..);
        }
        if self.strikes() {
            self.struck.floods += 1;
            let flood = (0..2 * LINE).map(|_| self.noise.bits() as u8 | 1);
            bytes.splice(0..0, flood.collect::<Vec<_>>());
        }
        bytes
    }

    /// A frame on its way to the device, whose reads may fail in it.
    fn send(&mut self, frame: &[u8]) {
        let bytes = self.transmit(frame);
        let mut events: VecDeque<Event> = bytes.iter().copied().map(Event::Byte).collect();
        if self.strikes() {
            self.struck.read_errors += 1;
            let at = self.place(frame).min(events.len());
            events.insert(at, Event::Fails(ErrorKind::Other));
            // An overrun loses the byte, noise may not.
            if self.noise.bits().is_multiple_of(2) {
                events.remove(at + 1);
            }
        }
        if self.strikes() {
            self.struck.interruptions += 1;
            let at = self.place(frame).min(events.len());
            let kinds = [ErrorKind::Interrupted, ErrorKind::TimedOut];
            let kind = kinds[usize::from(self.noise.bits() % 2)];
            events.insert(at, Event::Fails(kind));
        }
        self.to_device.extend(events);
    }
}

impl<H> embedded_io::ErrorType for Faulty<H> {
    type Error = Failed;
}

/// The end of the line that speaks first.
trait Host {
    /// The next frame, once everything that arrived has been looked at; `None` to hang up.
    fn turn(&mut self, arrived: Vec<u8>) -> Option<Vec<u8>>;
}

impl<H: Host> Read for Faulty<H> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failed> {
        loop {
            match self.to_device.pop_front() {
                Some(Event::Byte(byte)) => {
                    buffer[0] = byte;
                    return Ok(1);
                }
                Some(Event::Fails(kind)) => return Err(Failed(kind)),
                None => {
                    let arrived = std::mem::take(&mut self.from_device);
                    let Some(frame) = self.host.turn(arrived) else {
                        return Ok(0);
                    };
                    self.send(&frame);
                }
            }
        }
    }
}

impl<H: Host> Write for Faulty<H> {
    /// One call for every frame, as the sender writes.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Failed> {
        // A delimiter alone: it ends a frame that failed before.
        if bytes.len() == 1 {
            self.from_device.extend(bytes);
            return Ok(1);
        }
        if self.strikes() {
            self.struck.interruptions += 1;
            return Err(Failed(ErrorKind::Interrupted));
        }
        if let Some(Reply::Error(error)) = said(bytes) {
            match error {
                Error::Garbled => self.said.frames_garbled += 1,
                Error::TooLong { .. } => self.said.frames_too_long += 1,
                Error::Line => self.said.frames_lost += 1,
                _ => {}
            }
        }
        if self.strikes() {
            self.struck.write_errors += 1;
            let at = self.place(bytes);
            self.from_device.extend(&bytes[..at]);
            return Err(Failed(ErrorKind::Other));
        }
        let arriving = self.transmit(bytes);
        self.from_device.extend(arriving);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Failed> {
        Ok(())
    }
}

/// The error without a tag that a frame holds, if it holds one.
fn said(frame: &[u8]) -> Option<Reply<'static>> {
    let mut decoder = Decoder::<4096>::new();
    let ended = frame.iter().any(|&byte| decoder.ends_frame(byte));
    match Reply::decode(decoder.take().ok().filter(|_| ended)?) {
        Ok((NO_TAG, Reply::Error(error))) => Some(Reply::Error(error)),
        _ => None,
    }
}

/// A request, and the one right answer to it.
enum Ask {
    Reset,
    Label(u16),
    Data(u32, Vec<u8>, u32),
    Scores(u32, Vec<i32>),
    Statistics,
    Clear(u32),
    Save(u32, Vec<u8>),
    Load(u32, Vec<u8>, u32),
    Inputs,
    Watch(u16, Option<Rule>),
    Window(u32),
    /// From which on, and all there were so far.
    Detections(u32, Vec<Detection>),
}

impl Ask {
    fn request(&self) -> Request<'_> {
        match self {
            Ask::Reset => Request::Reset,
            Ask::Label(class) => Request::Label { class: *class },
            Ask::Data(sequence, bytes, _) => Request::Data {
                sequence: *sequence,
                bytes,
            },
            Ask::Scores(..) => Request::Scores { first: 0 },
            Ask::Statistics => Request::Statistics,
            Ask::Clear(period) => Request::Clear { period: *period },
            Ask::Save(at, _) => Request::Save { at: *at },
            Ask::Load(at, bytes, _) => Request::Load { at: *at, bytes },
            Ask::Inputs => Request::Inputs { first: 0 },
            Ask::Watch(class, rule) => Request::Watch {
                class: *class,
                rule: *rule,
            },
            Ask::Window(steps) => Request::Window { steps: *steps },
            Ask::Detections(first, _) => Request::Detections { first: *first },
        }
    }

    /// Whether the answer is the right one; any other of its kind is a failure.
    fn answered_by(&self, reply: Reply<'_>) {
        match (self, reply) {
            (Ask::Reset | Ask::Clear(_) | Ask::Watch(..) | Ask::Window(_), Reply::Ready)
            | (Ask::Statistics, Reply::Statistics(_)) => {}
            (Ask::Label(class), Reply::Label { class: of, text }) => {
                assert_eq!((of, text), (*class, &*format!("class {class}")));
            }
            (Ask::Data(sequence, _, after), Reply::Taken { next, steps }) => {
                assert_eq!((next, steps), (sequence + 1, *after));
            }
            (Ask::Scores(steps, raw), Reply::Scores(scores)) => {
                assert_eq!(scores.steps, *steps);
                assert_eq!(scores.raw.iter().collect::<Vec<_>>(), *raw);
            }
            (Ask::Save(from, state), Reply::State { total, at, bytes }) => {
                assert_eq!((at, total as usize), (*from, state.len()));
                let part = &state[at as usize..][..bytes.len()];
                assert!(bytes == part && !bytes.is_empty(), "the state");
            }
            (Ask::Load(at, bytes, whole), Reply::Loaded { due, total }) => {
                assert_eq!((due, total), (at + bytes.len() as u32, *whole));
            }
            (Ask::Inputs, Reply::Inputs { places, bytes, .. }) => {
                // Offset 0, step 2^-12.
                assert_eq!((places, bytes), (1, &[0, 0, 0, 0, 0, 0, 0x80, 0x39][..]));
            }
            (
                Ask::Detections(wanted, all),
                Reply::Detections {
                    total,
                    first,
                    bytes,
                },
            ) => {
                assert_eq!((first, total as usize), (*wanted, all.len()));
                let told = bytes.chunks(DETECTION_BYTES).map(|one| {
                    let half = |at| u16::from_le_bytes([one[at], one[at + 1]]);
                    let step = u32::from(half(0)) | u32::from(half(2)) << 16;
                    (usize::from(half(4)), step, half(6))
                });
                let all = all[first as usize..].iter();
                assert!(told.eq(all.map(|one| (one.class, one.step, one.confidence))));
            }
            (_, reply) => panic!("the wrong answer: {reply:?}"),
        }
    }
}

/// A host that streams sequences and looks at every answer.
struct Streaming<'m> {
    session: Session<'m, 'm>,
    noise: Noise,
    script: VecDeque<Ask>,
    decoder: Box<Decoder<4096>>,
    tag: u8,
    tries: usize,
    asked: usize,
    repeats: usize,
    /// Steps that the data so far make, over all sequences.
    steps: u32,
    /// Detections that were asked for.
    detections: usize,
    /// Steps of the periods that were cleared.
    cleared: u32,
    last: Statistics,
}

impl<'m> Streaming<'m> {
    fn new(model: &'m Model<'m>, arena: &'m mut [u32]) -> Self {
        Streaming {
            session: Session::new(model, arena).unwrap(),
            noise: Noise::new(5),
            script: VecDeque::from([Ask::Statistics]),
            decoder: Box::default(),
            tag: 1,
            tries: 0,
            asked: 0,
            repeats: 0,
            steps: 0,
            detections: 0,
            cleared: 0,
            last: Statistics::default(),
        }
    }

    /// One more sequence, its answers those of the session here.
    fn plan(&mut self) {
        let model = self.session.model();
        self.session.reset();
        self.script.push_back(Ask::Reset);
        let window = [0, 0, 3][usize::from(self.noise.bits() % 3)];
        self.script.push_back(Ask::Window(window));
        let mut watches = vec![Watch::OFF; model.outputs()];
        let mut detector = Detector::new(model, &mut watches).unwrap();
        detector.set_window(window);
        for class in 0..model.outputs() {
            let rule = (!self.noise.bits().is_multiple_of(4)).then(|| Rule {
                threshold: 1 + self.noise.bits() % Rule::THRESHOLD_MAX,
                smoothing: (self.noise.bits() % 3) as u8,
                hold_off: self.noise.bits() % 3,
            });
            detector.watch(class, rule).unwrap();
            self.script.push_back(Ask::Watch(class as u16, rule));
        }
        let count = usize::from(self.noise.bits() % 6) + 2;
        let frame = model.frame_values() * model.input_type().bytes();
        let bytes = self.noise.bytes(count * frame);
        let (mut scores, mut found) = (vec![0; model.outputs()], Vec::new());
        for mut values in bytes.chunks(frame) {
            assert!(self.session.feed(&mut values).unwrap());
            self.session.step().unwrap();
            found.extend(detector.step(&mut self.session, &mut scores).unwrap());
        }
        let (mut sent, mut told) = (0, 0);
        for (sequence, chunk) in (0..).zip(bytes.chunks(frame - 3)) {
            sent += chunk.len();
            let steps = (sent / frame) as u32;
            self.script
                .push_back(Ask::Data(sequence, chunk.to_vec(), steps));
            if self.noise.bits().is_multiple_of(2) {
                let so_far = found.iter().filter(|one| one.step <= steps).copied();
                let so_far: Vec<_> = so_far.collect();
                self.detections += so_far.len() - told as usize;
                let first = std::mem::replace(&mut told, so_far.len() as u32);
                self.script.push_back(Ask::Detections(first, so_far));
            }
        }
        self.script
            .push_back(Ask::Scores(count as u32, scores.clone()));
        self.steps += count as u32;
        // Between windows there is no step whose state could be asked for.
        if window == 0 {
            self.plan_a_state(count, scores);
        }
        self.script
            .push_back(Ask::Label(self.noise.bits() % model.classes() as u16));
        self.script.push_back(Ask::Statistics);
    }

    /// Saved, forgotten, loaded: the scores are there again.
    fn plan_a_state(&mut self, count: usize, scores: Vec<i32>) {
        let mut state = vec![0; self.session.saved_bytes()];
        self.session.save(&mut state).unwrap();
        for at in (0..state.len()).step_by(PART_BYTES_MAX) {
            self.script.push_back(Ask::Save(at as u32, state.clone()));
        }
        self.script.push_back(Ask::Reset);
        self.script.push_back(Ask::Inputs);
        let whole = state.len() as u32;
        for (at, part) in (0..).step_by(60).zip(state.chunks(60)) {
            self.script.push_back(Ask::Load(at, part.to_vec(), whole));
        }
        self.script.push_back(Ask::Scores(count as u32, scores));
    }

    fn answered(&mut self, reply: Reply<'_>) {
        let ask = self.script.pop_front().unwrap();
        ask.answered_by(reply);
        if let Reply::Statistics(statistics) = reply {
            self.last = statistics;
            if self.noise.bits().is_multiple_of(4) {
                self.script.push_front(Ask::Clear(statistics.period));
            }
        }
        if let Ask::Clear(period) = ask {
            assert_eq!(period, self.last.period);
            self.cleared += self.last.steps;
            self.last = Statistics::default();
            // What the line lost by the end is asked for last.
            if self.script.is_empty() {
                self.script.push_back(Ask::Statistics);
            }
        }
        self.tag = self.tag % 255 + 1;
        self.tries = 0;
        self.asked += 1;
    }
}

impl Host for Streaming<'_> {
    fn turn(&mut self, arrived: Vec<u8>) -> Option<Vec<u8>> {
        for byte in arrived {
            if !self.decoder.ends_frame(byte) {
                continue;
            }
            let mut decoder = std::mem::take(&mut self.decoder);
            if let Ok((tag, reply)) = decoder.take().and_then(Reply::decode)
                && tag == self.tag
                && self.tries > 0
            {
                self.answered(reply);
            }
            self.decoder = decoder;
        }
        if self.script.is_empty() {
            if self.asked >= REQUESTS {
                return None;
            }
            self.plan();
        }
        self.repeats += usize::from(self.tries > 0);
        self.tries += 1;
        assert!(self.tries <= TRIES, "no answer");
        let mut line = [0; LINE + 1];
        let request = self.script[0].request();
        let length = request.encode(self.tag, &mut line[1..]).unwrap();
        Some(line[usize::from(self.tries == 1)..=length].to_vec())
    }
}

/// A clock that goes on by a step whenever it is looked at.
struct Count<'c>(&'c Cell<u32>, u32);

impl Ticks for Count<'_> {
    fn hertz(&self) -> u32 {
        1_000_000
    }

    fn now(&self) -> u32 {
        self.0.set(self.0.get().wrapping_add(self.1));
        self.0.get()
    }
}

struct NoLamp;

impl ErrorType for NoLamp {
    type Error = Infallible;
}

impl OutputPin for NoLamp {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Serves a model on a stream until its host hangs up.
fn serve<S: Read + Write>(stream: S, model: &[u8], clock: &Cell<u32>, pace: u32) {
    let board = Board {
        name: "in memory",
        stream,
        ticks: Count(clock, pace),
        led: NoLamp,
        stack: Stack::default,
    };
    let mut memory = Memory::<LINE, ARENA, CLASSES>::new();
    assert_eq!(run(board, model, &mut memory), Ended::End);
}

#[test]
fn every_request_is_answered_right_and_every_loss_counted() {
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    for (seed, once_in) in [(1, ONCE_IN), (2, ONCE_IN), (3, 30), (4, 0)] {
        let mut arena = vec![0; ARENA];
        let host = Streaming::new(&model, &mut arena);
        let mut line = Faulty::new(host, once_in, seed);
        serve(&mut line, file.bytes(), &Cell::new(0), 1);
        let (host, struck) = (&line.host, line.struck);
        assert!(host.asked >= REQUESTS && host.detections > 300);
        // The last request but one line's worth was for the counts.
        let counts = host.last.line;
        println!(
            "{} requests, {} again, {struck:?}, {counts:?}",
            host.asked, host.repeats
        );
        assert_eq!(host.cleared + host.last.steps, host.steps, "steps");
        if once_in == 0 {
            assert_eq!((host.repeats, counts), (0, LineCounts::default()));
            continue;
        }
        let kinds = [
            struck.flips,
            struck.drops,
            struck.inserts,
            struck.cuts,
            struck.doubles,
            struck.floods,
            struck.read_errors,
            struck.interruptions,
            struck.write_errors,
        ];
        assert!(kinds.iter().all(|&count| count > 100), "{struck:?}");
        assert_eq!(counts.read_errors, struck.read_errors);
        assert_eq!(counts.replies_lost, struck.write_errors);
        assert_eq!(counts.frames_lost, line.said.frames_lost);
        assert_eq!(counts.frames_garbled, line.said.frames_garbled);
        assert_eq!(counts.frames_too_long, line.said.frames_too_long);
    }
}

/// A line that is dead for so many reads, then says hello and hangs up.
struct Dead {
    errors: usize,
    rest: VecDeque<u8>,
    written: Vec<u8>,
    takes: bool,
}

impl Dead {
    fn new(errors: usize, takes: bool) -> Dead {
        let mut line = [0; LINE];
        // What the device drops ends at the first delimiter.
        let length = Request::Hello.encode(9, &mut line[1..]).unwrap();
        Dead {
            errors,
            rest: line[..=length].iter().copied().collect(),
            written: Vec::new(),
            takes,
        }
    }
}

impl embedded_io::ErrorType for Dead {
    type Error = Failed;
}

impl Read for Dead {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failed> {
        if self.errors > 0 {
            self.errors -= 1;
            return Err(Failed(ErrorKind::NotConnected));
        }
        Ok(self.rest.pop_front().map_or(0, |byte| {
            buffer[0] = byte;
            1
        }))
    }
}

impl Write for Dead {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Failed> {
        if self.takes {
            self.written.extend(bytes);
        }
        Ok(if self.takes { bytes.len() } else { 0 })
    }

    fn flush(&mut self) -> Result<(), Failed> {
        Ok(())
    }
}

#[test]
fn a_dead_line_is_read_again_until_it_lives_but_not_without_pause() {
    let file = Dense::default().model();
    let ticks = |errors, pace| {
        let clock = Cell::new(0);
        let mut line = Dead::new(errors, true);
        serve(&mut line, file.bytes(), &clock, pace);
        let replies = line.written.split_inclusive(|&byte| byte == 0);
        let replies: Vec<_> = replies.map(<[u8]>::to_vec).collect();
        let (hello, lost) = replies.split_last().unwrap();
        assert_eq!(lost.len(), usize::from(errors > 0));
        assert!(
            lost.iter()
                .all(|frame| said(frame) == Some(Reply::Error(Error::Line)))
        );
        let mut decoder = Decoder::<4096>::new();
        assert!(hello.iter().any(|&byte| decoder.ends_frame(byte)));
        let reply = decoder.take().and_then(Reply::decode);
        assert!(matches!(reply, Ok((9, Reply::Hello(_)))), "{reply:?}");
        clock.get()
    };
    // Pauses are 10 ms, at 1 MHz 10,000 ticks, from the 16th error in a row on.
    let undisturbed = ticks(0, 1);
    assert_eq!(ticks(15, 1) - undisturbed, 0);
    let paused = ticks(115, 1) - undisturbed;
    assert!((1_000_000..1_010_000).contains(&paused), "{paused}");
    // A clock that stands still holds nothing up.
    assert_eq!(ticks(115, 0), 0);
}

#[test]
fn a_stream_that_takes_nothing_is_given_up_for_the_reply() {
    let file = Dense::default().model();
    let mut line = Dead::new(0, false);
    // It comes back at all, and does not panic as `Write::write_all` would.
    serve(&mut line, file.bytes(), &Cell::new(0), 1);
    assert!(line.rest.is_empty());
}
