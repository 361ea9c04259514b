# Warnings are errors, for our own code: `target_link_libraries(x PRIVATE conat_warnings)`.
add_library(conat_warnings INTERFACE)
target_compile_options(conat_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wno-sign-conversion
                                                -Werror)
