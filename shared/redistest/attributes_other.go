//go:build !linux

package redistest

import "syscall"

// attributes are empty where a child can't be tied to its parent's life: there a killed test leaves its server.
func attributes() *syscall.SysProcAttr { return nil }
