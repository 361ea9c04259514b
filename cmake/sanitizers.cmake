# CONAT_SANITIZE reaches every target, libraries included, so that reports are complete.
if(CONAT_SANITIZE)
  add_compile_options(-fsanitize=${CONAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CONAT_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_link_options(-fuse-ld=lld)  # a third of the time
  endif()
  if(CONAT_SANITIZE MATCHES "undefined")
    # A third to a half of the time to compile, for what ASan or the processor find as well.
    add_compile_options(-fno-sanitize=null,alignment,vptr,object-size,nonnull-attribute,returns-nonnull-attribute)
  endif()
endif()
if(CONAT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
