package artifact

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact/tree"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxHops bounds the links that one path may lead through, as the kernel does.
const maxHops = 40

// checkLinks finds the symlinks whose target is not in the artifact: it does not exist, is
// outside of the directory, or was left out. One that a glob names by its own name is an error,
// since the artifact holds nothing of what was meant. The others are remarked on.
func checkLinks(root *os.Root, entries []entry, globs []glob) ([]string, error) {
	links, err := readLinks(root, entries)
	if err != nil || len(links) == 0 {
		return nil, err
	}
	kept := make(map[string]fs.FileMode, len(entries))
	for _, e := range entries {
		kept[e.path] = e.kind
	}
	var broken []string
	for _, e := range entries {
		if e.kind != fs.ModeSymlink || resolves(kept, links, e.path) {
			continue
		}
		if slices.ContainsFunc(globs, func(g glob) bool { return g.names(e.path) }) {
			return nil, fmt.Errorf("%w: %q is a symbolic link to %q, which is not in the artifact; let the commands copy what the link leads to, for example with cp -L", action.ErrUnstorable, e.path, links[e.path])
		}
		broken = append(broken, e.path)
	}
	switch len(broken) {
	case 0:
		return nil, nil
	case 1:
		return []string{fmt.Sprintf("the symbolic link %q leads to %q, which is not in the artifact", broken[0], links[broken[0]])}, nil
	}
	return []string{fmt.Sprintf("%d symbolic links lead to files that are not in the artifact: %s", len(broken), pipeline.EnumerateQuoted(broken))}, nil
}

// readLinks returns the targets of the symlinks among the entries.
func readLinks(root *os.Root, entries []entry) (map[string]string, error) {
	at := tree.NewCursor(root)
	defer at.Close()
	links := make(map[string]string)
	for _, e := range entries {
		if e.kind != fs.ModeSymlink {
			continue
		}
		parent, base, err := at.Parent(e.path)
		if err != nil {
			return nil, unreadable(e.path, err)
		}
		target, err := parent.Readlink(base)
		if err != nil {
			return nil, unreadable(e.path, err)
		}
		links[e.path] = target
	}
	return links, nil
}

// resolves tells whether a link leads to a file that is kept.
func resolves(kept map[string]fs.FileMode, links map[string]string, link string) bool {
	at, rest := path.Dir(link), strings.Split(links[link], "/")
	if path.IsAbs(links[link]) {
		return false
	}
	for hops := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return false
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		kind, found := kept[next]
		switch {
		case !found:
			return false
		case kind == fs.ModeSymlink:
			if hops++; hops > maxHops || path.IsAbs(links[next]) {
				return false
			}
			rest = append(strings.Split(links[next], "/"), rest...)
		case kind == fs.ModeDir:
			at = next
		default:
			return len(rest) == 0
		}
	}
	return true
}
