# CONAT_SANITIZE reaches every target, libraries included, so that reports are complete.
if(CONAT_SANITIZE)
  add_compile_options(-fsanitize=${CONAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CONAT_SANITIZE})
  if(CONAT_SANITIZE MATCHES "undefined" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Half of the time to compile, for what ASan finds as well, or the fuzz preset's clang.
    add_compile_options(-fno-sanitize=null,alignment,vptr,object-size,nonnull-attribute,returns-nonnull-attribute)
  endif()
  if(CONAT_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Asio uses fences that TSan cannot see
  endif()
endif()
if(CONAT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
