//go:build !linux

package stack

import "syscall"

// attributes are empty where a child can't be tied to its parent's life: it shares the process group instead, and with
// it the terminal's ctrl-C.
func attributes() *syscall.SysProcAttr { return nil }
