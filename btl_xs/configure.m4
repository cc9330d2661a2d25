# -*- shell-script -*-
#
# SPDX-License-Identifier: BSD-3-Clause
#
# For a copy of this directory at opal/mca/btl/xs of Open MPI's sources; see
# Documentation/btl.md of xensocket. libxensocket has to be installed.

# MCA_btl_xs_CONFIG([action-if-can-compile], [action-if-cant-compile])
# ------------------------------------------------
AC_DEFUN([MCA_opal_btl_xs_CONFIG],[
    AC_CONFIG_FILES([opal/mca/btl/xs/Makefile])

    AC_ARG_WITH([xensocket],
                [AS_HELP_STRING([--with-xensocket(=DIR)],
                                [Build the BTL "xs" with libxensocket, installed below DIR])])
    btl_xs_CPPFLAGS=
    btl_xs_LDFLAGS=
    btl_xs_LIBS=-lxensocket
    AS_CASE([$with_xensocket],
            [no], [opal_btl_xs_happy=no],
            [yes|""], [opal_btl_xs_happy=yes],
            [opal_btl_xs_happy=yes
             btl_xs_CPPFLAGS="-I$with_xensocket/include"
             btl_xs_LDFLAGS="-L$with_xensocket/lib"])

    btl_xs_save_CPPFLAGS=$CPPFLAGS
    btl_xs_save_LDFLAGS=$LDFLAGS
    CPPFLAGS="$CPPFLAGS $btl_xs_CPPFLAGS"
    LDFLAGS="$LDFLAGS $btl_xs_LDFLAGS"
    AS_IF([test $opal_btl_xs_happy = yes],
          [AC_CHECK_HEADER([xensocket.h], [], [opal_btl_xs_happy=no])])
    AS_IF([test $opal_btl_xs_happy = yes],
          [AC_CHECK_LIB([xensocket], [xsock_map_open], [:], [opal_btl_xs_happy=no])])
    CPPFLAGS=$btl_xs_save_CPPFLAGS
    LDFLAGS=$btl_xs_save_LDFLAGS

    AS_IF([test $opal_btl_xs_happy = no && test -n "$with_xensocket" && test "$with_xensocket" != no],
          [AC_MSG_ERROR([libxensocket was asked for and not found])])

    # What a component is linked with has another name in each series.
    AS_IF([test -n "$OPAL_LIB_NAME"],
          [btl_xs_OPAL_LIB=lib${OPAL_LIB_NAME}.la],
          [btl_xs_OPAL_LIB=lib${OPAL_LIB_PREFIX}open-pal.la])
    AC_SUBST([btl_xs_OPAL_LIB])
    AC_SUBST([btl_xs_CPPFLAGS])
    AC_SUBST([btl_xs_LDFLAGS])
    AC_SUBST([btl_xs_LIBS])

    AS_IF([test $opal_btl_xs_happy = yes], [$1], [$2])
    OPAL_SUMMARY_ADD([[Transports]], [[Xensockets]], [], [$opal_btl_xs_happy])
])dnl
