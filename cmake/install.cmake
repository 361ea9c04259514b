# What `cmake --install build/native-release --prefix DIR` puts there: the two programs, and the native
# client as a package for CMake:
#
#   find_package(conat REQUIRED)
#   target_link_libraries(program PRIVATE conat::client)
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# A directory of its own: the client's headers are included as "client/client.hpp".
set(headers ${CMAKE_INSTALL_INCLUDEDIR}/conat)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/conat)

install(TARGETS conatd conat RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The client, and the libraries that it stands on.
set(layers base subject wire session client stream socket sync fabric)
set(libraries conat_native_client conat_transport conat_asio conat_asio_ssl)
foreach(layer ${layers})
  list(APPEND libraries conat_${layer})
  set_target_properties(conat_${layer} PROPERTIES EXPORT_NAME core_${layer})
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/shared/conat/${layer} DESTINATION ${headers}/conat
          FILES_MATCHING PATTERN "*.hpp" PATTERN "*.def")
endforeach()
set_target_properties(conat_native_client PROPERTIES EXPORT_NAME client)
set_target_properties(conat_transport PROPERTIES EXPORT_NAME transport)
set_target_properties(conat_asio PROPERTIES EXPORT_NAME asio)
set_target_properties(conat_asio_ssl PROPERTIES EXPORT_NAME asio_ssl)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/native/client DESTINATION ${headers}
        FILES_MATCHING PATTERN "*.hpp")
install(TARGETS ${libraries} EXPORT conat
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${headers})

install(EXPORT conat FILE conat-targets.cmake NAMESPACE conat:: DESTINATION ${package})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/conat-config.cmake.in
                              ${CMAKE_BINARY_DIR}/conat-config.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/conat-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/conat-config.cmake ${CMAKE_BINARY_DIR}/conat-config-version.cmake
        DESTINATION ${package})
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
