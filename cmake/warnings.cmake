# Warnings are errors, for our own code: `target_link_libraries(x PRIVATE conat_warnings)`.
add_library(conat_warnings INTERFACE)
target_compile_options(conat_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wno-sign-conversion
                                                -Werror)
# g++ 12 sees uninitialized members and overlapping copies inside moved std::variant and std::string when it
# inlines them (GCC bugs 105562, 105651, 105593). clang and the sanitizers check the same code.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(conat_warnings INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-array-bounds
                                                  -Wno-stringop-overflow -Wno-stringop-overread)
endif()
