# CMake's toolchain file for a Cortex-M without an operating system.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

set(CPU "-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16" CACHE STRING "The processor, as the compiler takes it")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CPU)
set(CMAKE_C_FLAGS_INIT "${CPU} -mthumb -O2 -ffreestanding -ffunction-sections -fdata-sections -Wall -Wextra")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostdlib -Wl,--gc-sections -Wl,-z,noexecstack")
set(CMAKE_C_STANDARD_LIBRARIES_INIT "-lgcc")
