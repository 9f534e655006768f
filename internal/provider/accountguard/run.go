package accountguard

import (
	"fmt"
	"os"
	"strings"
)

// run identifies the run of Terraform that started this process: one terraform destroy
// starts the provider for the plan that has the configuration, and again for the destroy.
func run() string {
	parent := os.Getppid()
	// An error leaves the name empty, and the process still tells runs of one machine apart.
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d/%s", host, parent, started(parent))
}

// started returns when a process started, in ticks since the machine did, or nothing where
// the system has no /proc. Containers need it: Terraform is process 1 in each.
func started(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name of the program, in parentheses, may contain spaces. Start is field 22.
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}
