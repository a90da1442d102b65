package stack

import "syscall"

// attributes keep the terminal's ctrl-C from the process, so that the system is ended in order, and have the kernel
// end it when this process dies, however it dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
