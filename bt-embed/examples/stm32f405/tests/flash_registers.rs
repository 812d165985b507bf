//! The driver of the slots against a model of the flash controller, on a Linux host: every access to a register and every
//! write to the flash traps, and the model answers by the reference manual (RM0090, 3.6 to 3.9): keys, lock, sectors,
//! width, busy, errors, the data cache. A wrong register, sector or order shows here, before there is a chip.
//!
//! A trapped instruction is carried out alone on memory that has what the model would give, and then the model is told
//! what it wrote.

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
#[path = "../src/slots.rs"]
mod slots;

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod host {
    use std::cell::RefCell;
    use std::ptr::null_mut;
    use std::sync::Mutex;

    use bt_embed::store::{RECORD_BYTES, Slot, StoreError, Update};
    use embedded_storage::nor_flash::NorFlash;
    use libc::{c_int, c_void, siginfo_t};
    use stm32f4xx_hal::pac;

    use crate::slots::{self, CoherentFlash};

    const FLASH: usize = 0x0800_0000;
    const FLASH_BYTES: usize = 1 << 20;
    /// The page that the controller's registers lie in, and where.
    const PAGE: usize = 0x4002_3000;
    const PAGE_BYTES: usize = 4096;
    const REGISTERS: usize = 0x4002_3C00;

    const ACR: usize = 0x00;
    const KEYR: usize = 0x04;
    const SR: usize = 0x0C;
    const CR: usize = 0x10;

    const DCEN: u32 = 1 << 10;
    const DCRST: u32 = 1 << 12;
    const WRPERR: u32 = 1 << 4;
    const PGPERR: u32 = 1 << 6;
    const PGSERR: u32 = 1 << 7;
    const ERRORS: u32 = 0xF2;
    const BUSY: u32 = 1 << 16;
    const PG: u32 = 1;
    const SER: u32 = 1 << 1;
    const MER: u32 = 1 << 2;
    const STRT: u32 = 1 << 16;
    const LOCK: u32 = 1 << 31;

    /// Table 5 of the manual: four sectors of 16 KiB, one of 64, seven of 128.
    fn sector(number: u32) -> Option<std::ops::Range<usize>> {
        const KIB: usize = 1024;
        match number as usize {
            number @ 0..=3 => Some(16 * KIB * number..16 * KIB * (number + 1)),
            4 => Some(64 * KIB..128 * KIB),
            number @ 5..=11 => Some(128 * KIB * (number - 4)..128 * KIB * (number - 3)),
            _ => None,
        }
    }

    /// The controller.
    struct Controller {
        acr: u32,
        sr: u32,
        cr: u32,
        /// Keys that came right so far; after a wrong one it stays locked.
        keys: u8,
        /// Reads of SR that still say busy.
        busy: u8,
        /// Bytes were changed since the data cache was reset.
        is_stale: bool,
        erased: Vec<u32>,
        programmed: usize,
        /// The next byte fails so.
        fault: u32,
        /// What the manual forbids.
        wrong: Vec<String>,
    }

    static CONTROLLER: Mutex<Controller> = Mutex::new(Controller {
        acr: DCEN,
        sr: 0,
        cr: LOCK,
        keys: 0,
        busy: 0,
        is_stale: false,
        erased: Vec::new(),
        programmed: 0,
        fault: 0,
        wrong: Vec::new(),
    });

    impl Controller {
        fn read(&mut self, register: usize) -> u32 {
            match register {
                ACR => self.acr,
                SR => {
                    let busy = if self.busy > 0 { BUSY } else { 0 };
                    self.busy = self.busy.saturating_sub(1);
                    self.sr | busy
                }
                CR => self.cr,
                _ => 0,
            }
        }

        fn write(&mut self, register: usize, value: u32) {
            match register {
                ACR => {
                    if value & DCRST != 0 {
                        if (value | self.acr) & DCEN != 0 {
                            self.wrong
                                .push("the data cache is reset while it is on".into());
                        }
                        self.is_stale = false;
                    }
                    self.acr = value;
                }
                KEYR => {
                    let key = [0x4567_0123, 0xCDEF_89AB][usize::from(self.keys % 2)];
                    if value == key && self.keys < 2 {
                        self.keys += 1;
                    } else {
                        self.wrong.push(format!("key {value:#x}"));
                        self.keys = 9;
                    }
                    if self.keys == 2 {
                        self.cr &= !LOCK;
                    }
                }
                SR => self.sr &= !(value & ERRORS),
                CR => self.control(value),
                _ => self.wrong.push(format!("register {register:#x}")),
            }
        }

        fn control(&mut self, value: u32) {
            if self.cr & LOCK != 0 {
                self.wrong.push("CR is written while it is locked".into());
                return;
            }
            if self.busy > 0 {
                self.wrong
                    .push("CR is written while the flash is busy".into());
            }
            self.cr = value & !STRT;
            if value & LOCK != 0 {
                self.keys = 0;
            }
            if value & STRT == 0 {
                return;
            }
            let number = value >> 3 & 0xF;
            match (value & (PG | SER | MER), sector(number)) {
                (SER, Some(range)) => {
                    self.erased.push(number);
                    self.busy = 3;
                    self.is_stale = true;
                    // SAFETY: within the flash, which the handler has opened.
                    unsafe { open(FLASH + range.start, range.len(), true) };
                    for at in range.clone() {
                        // SAFETY: as before.
                        unsafe { ((FLASH + at) as *mut u8).write(0xFF) };
                    }
                    // SAFETY: as before.
                    unsafe { open(FLASH + range.start, range.len(), false) };
                }
                _ => self.wrong.push(format!("an operation {value:#x}")),
            }
        }

        /// A byte is written to the flash: what stands there then.
        fn program(&mut self, before: u8, value: u8) -> u8 {
            self.is_stale = true;
            let errors = match () {
                () if self.cr & PG == 0 || self.cr & LOCK != 0 => PGSERR,
                // A byte is written, so that PSIZE is 0.
                () if self.cr & 0x300 != 0 => PGPERR,
                () => std::mem::take(&mut self.fault),
            };
            self.sr |= errors;
            if self.sr & ERRORS != 0 {
                return before;
            }
            self.programmed += 1;
            self.busy = 1;
            before & value
        }
    }

    /// What a trapped instruction does: where, whether it writes, and what stood there.
    static TRAPPED: Mutex<Option<(usize, bool, u8)>> = Mutex::new(None);

    /// Makes whole pages of the flash writable, or readable alone.
    unsafe fn open(at: usize, bytes: usize, is_open: bool) {
        let begin = at / PAGE_BYTES * PAGE_BYTES;
        let rights = if is_open {
            libc::PROT_READ | libc::PROT_WRITE
        } else {
            libc::PROT_READ
        };
        let length = at + bytes - begin;
        // SAFETY: these pages are this test's.
        assert_eq!(
            unsafe { libc::mprotect(begin as *mut c_void, length, rights) },
            0
        );
    }

    fn registers(rights: c_int) {
        // SAFETY: the page is this test's.
        assert_eq!(
            unsafe { libc::mprotect(PAGE as *mut c_void, PAGE_BYTES, rights) },
            0
        );
    }

    /// One step of the processor, then a trap.
    const TRAP_FLAG: i64 = 0x100;

    extern "C" fn touched(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel gives both to a handler of SA_SIGINFO.
        let (at, registers_of) = unsafe {
            let context = &mut *context.cast::<libc::ucontext_t>();
            ((*info).si_addr() as usize, &mut context.uc_mcontext.gregs)
        };
        let is_write = registers_of[libc::REG_ERR as usize] & 2 != 0;
        let mut before = 0;
        if (FLASH..FLASH + FLASH_BYTES).contains(&at) {
            // SAFETY: within the flash.
            unsafe {
                before = (at as *const u8).read();
                open(at, 1, true);
            }
        } else if (PAGE..PAGE + PAGE_BYTES).contains(&at) {
            registers(libc::PROT_READ | libc::PROT_WRITE);
            if !is_write {
                let value = CONTROLLER.lock().unwrap().read(at.wrapping_sub(REGISTERS));
                // SAFETY: within the page, aligned as the driver's access is.
                unsafe { (at as *mut u32).write(value) };
            }
        } else {
            // A fault of the test itself.
            std::process::abort();
        }
        *TRAPPED.lock().unwrap() = Some((at, is_write, before));
        registers_of[libc::REG_EFL as usize] |= TRAP_FLAG;
    }

    extern "C" fn stepped(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: as of `touched`.
        let registers_of = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        registers_of[libc::REG_EFL as usize] &= !TRAP_FLAG;
        let Some((at, is_write, before)) = TRAPPED.lock().unwrap().take() else {
            std::process::abort();
        };
        let mut controller = CONTROLLER.lock().unwrap();
        if at < PAGE {
            // SAFETY: within the flash, whose page is open.
            unsafe {
                let place = at as *mut u8;
                place.write(controller.program(before, place.read()));
                open(at, 1, false);
            }
            return;
        }
        if is_write {
            // SAFETY: within the page.
            let value = unsafe { (at as *const u32).read() };
            controller.write(at.wrapping_sub(REGISTERS), value);
        }
        registers(libc::PROT_NONE);
    }

    /// Memory where the chip has its flash and its registers, and handlers of what touches them.
    fn chip() -> CoherentFlash {
        let map = |at: usize, bytes: usize, rights: c_int| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            // SAFETY: nothing of a host's program lies this low.
            let place = unsafe { libc::mmap(at as *mut c_void, bytes, rights, flags, -1, 0) };
            assert_eq!(place as usize, at);
        };
        map(FLASH, FLASH_BYTES, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: just mapped.
        unsafe { std::slice::from_raw_parts_mut(FLASH as *mut u8, FLASH_BYTES) }.fill(0x5A);
        // SAFETY: as before.
        unsafe { open(FLASH, FLASH_BYTES, false) };
        map(PAGE, PAGE_BYTES, libc::PROT_NONE);
        for (signal, handler) in [
            (libc::SIGSEGV, touched as *const () as usize),
            (libc::SIGTRAP, stepped as *const () as usize),
        ] {
            // SAFETY: zeros are an action without flags; both handlers take what SA_SIGINFO gives.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler;
                action.sa_flags = libc::SA_SIGINFO;
                assert_eq!(libc::sigaction(signal, &action, null_mut()), 0);
            }
        }
        // SAFETY: the test's only one.
        CoherentFlash(unsafe { pac::FLASH::steal() })
    }

    /// What stands in the flash.
    fn flash() -> &'static [u8] {
        // SAFETY: mapped for good; the driver is not at work.
        unsafe { std::slice::from_raw_parts(FLASH as *const u8, FLASH_BYTES) }
    }

    /// Between two operations: locked, at rest, nothing stale in the cache, nothing that the manual forbids.
    fn is_at_rest() {
        let controller = CONTROLLER.lock().unwrap();
        assert_eq!(controller.wrong, [""; 0]);
        assert_eq!(controller.cr & (LOCK | PG), LOCK);
        assert!(controller.busy == 0 && !controller.is_stale);
        assert_eq!(controller.acr & (DCEN | DCRST), DCEN);
    }

    fn crc(bytes: &[u8]) -> u32 {
        bt_core::health::Crc32c::new().with(bytes).value()
    }

    #[test]
    fn a_model_is_written_by_the_manual() {
        let flash_of_chip = RefCell::new(chip());
        let mut slots = slots::slots(&flash_of_chip);
        let image: Vec<u8> = (0..10_000u32).map(|n| (n * n >> 3) as u8).collect();
        for (number, first) in [(1, 0xE_0000), (0, 0xC_0000)] {
            let slot = &mut slots.flash[number];
            let mut update = Update::begin(slot, image.len(), crc(&image)).unwrap();
            is_at_rest();
            assert!(
                flash()[first..][..128 << 10]
                    .iter()
                    .all(|&byte| byte == 0xFF)
            );
            for (at, piece) in image.chunks(960).enumerate() {
                update.piece(slot, 960 * at, piece).unwrap();
                is_at_rest();
            }
            update.finish(slot, 7, |_| Ok(())).unwrap();
            is_at_rest();
            assert_eq!(&flash()[first + RECORD_BYTES..][..image.len()], image);
            assert_eq!(slot.bytes(), &flash()[first..][..128 << 10]);
        }
        // Nothing of the program before them was touched, and no sector but theirs.
        assert!(flash()[..0xC_0000].iter().all(|&byte| byte == 0x5A));
        assert_eq!(CONTROLLER.lock().unwrap().erased, [11, 10]);
        assert_eq!(slots.newest(0).map(|choice| choice.sequence), Some(7));

        // A byte that fails is told, and the next try is not blamed for it.
        let slot = &mut slots.flash[1];
        let mut update = Update::begin(slot, image.len(), crc(&image)).unwrap();
        CONTROLLER.lock().unwrap().fault = WRPERR;
        assert_eq!(update.piece(slot, 0, &image[..960]), Err(StoreError::Flash));
        let mut update = Update::begin(slot, image.len(), crc(&image)).unwrap();
        assert_eq!(update.piece(slot, 0, &image[..960]), Ok(960));
        is_at_rest();

        // What lies across the end of the flash, or is no whole sector, is refused before anything is done.
        let before = CONTROLLER.lock().unwrap().programmed;
        let mut whole = flash_of_chip.borrow_mut();
        assert!(whole.write((1 << 20) - 1, &[0; 2]).is_err());
        assert!(whole.erase(0x1000, 0x2_0000).is_err());
        assert_eq!(CONTROLLER.lock().unwrap().programmed, before);
        is_at_rest();
    }
}

fn main() {}
