//! `embedded-io-async`, as embassy's HALs have it.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io::{ErrorType, Read, Write};

/// A stream of `embedded-io-async` as one that waits: asleep until the next interrupt where there is nothing to
/// read yet.
///
/// Such a HAL receives by interrupt or DMA into a buffer of its own, so that nothing is lost while a step computes
/// and the buffer lasts. It is also the right way to wait for embassy-stm32's `BufferedUart`, whose blocking `read`
/// returns 0 bytes, the end of a stream, where nothing has come yet.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<S>(pub S);

impl<S: ErrorType> ErrorType for Waiting<S> {
    type Error = S::Error;
}

impl<S: embedded_io_async::Read> Read for Waiting<S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        wait_for(self.0.read(buffer))
    }
}

impl<S: embedded_io_async::Write> Write for Waiting<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        wait_for(self.0.write(bytes))
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        wait_for(self.0.flush())
    }
}

/// Polls until the future is ready. Nothing needs to wake it: every interrupt ends the sleep.
fn wait_for<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        sleep();
    }
}

/// Until an interrupt. One that came since the poll is not missed: the return from it leaves an event, which ends
/// the next sleep at once.
#[cfg(all(target_arch = "arm", target_os = "none"))]
fn sleep() {
    cortex_m::asm::wfe();
}

/// Processors without such an instruction here poll.
#[cfg(not(all(target_arch = "arm", target_os = "none")))]
fn sleep() {
    core::hint::spin_loop();
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use std::collections::VecDeque;

    /// Bytes that come one by one, each after some polls without any.
    struct Slow {
        coming: VecDeque<(u32, u8)>,
        gone: Vec<u8>,
        full: u32,
    }

    impl ErrorType for Slow {
        type Error = Infallible;
    }

    impl embedded_io_async::Read for Slow {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
            core::future::poll_fn(|_| match self.coming.front_mut() {
                Some((0, byte)) => {
                    buffer[0] = *byte;
                    self.coming.pop_front();
                    Poll::Ready(Ok(1))
                }
                Some((polls, _)) => {
                    *polls -= 1;
                    Poll::Pending
                }
                None => Poll::Ready(Ok(0)),
            })
            .await
        }
    }

    impl embedded_io_async::Write for Slow {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            core::future::poll_fn(|_| {
                if self.full > 0 {
                    self.full -= 1;
                    return Poll::Pending;
                }
                self.full = 2;
                self.gone.push(bytes[0]);
                Poll::Ready(Ok(1))
            })
            .await
        }

        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    #[test]
    fn bytes_that_are_not_there_yet_are_waited_for() {
        let mut line = Waiting(Slow {
            coming: [(3, 7), (0, 8), (100, 9)].into(),
            gone: Vec::new(),
            full: 1,
        });
        let mut bytes = [0; 3];
        line.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [7, 8, 9]);
        assert_eq!(
            line.read(&mut bytes),
            Ok(0),
            "the end is told, not waited for"
        );
        line.write_all(&[1, 2, 3]).unwrap();
        line.flush().unwrap();
        assert_eq!(line.0.gone, [1, 2, 3]);
    }
}
