# A user's toolchain file.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(flags "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=auto -O2 -Wall -Wextra -Werror")
set(CMAKE_C_FLAGS_INIT "${flags} -std=c11")
set(CMAKE_CXX_FLAGS_INIT "${flags} -std=c++11 -fno-exceptions -fno-rtti -fno-threadsafe-statics")
set(CMAKE_EXE_LINKER_FLAGS_INIT
  "-nostartfiles -Tmps2.ld -L${BOARD}/boards -Wl,--no-warn-rwx-segments")
