package firestoretest

import (
	"strings"
	"unicode/utf8"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// key is a document's path below documents/, with NUL between the segments: keys sort as Firestore sorts names,
// segment by segment, and what lies below a document or collection is one range.
type key string

const separator = "\x00"

// documents is the segment between a database's name and the paths in it.
const documents = "/documents"

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// databaseOf is the beginning of a resource name up to the database.
func databaseOf(resource string) (string, error) {
	segments := strings.SplitN(resource, "/", 5)
	if len(segments) < 4 || segments[0] != "projects" || segments[2] != "databases" || segments[1] == "" || segments[3] == "" {
		return "", invalid("%q is no resource of a database", resource)
	}
	return strings.Join(segments[:4], "/"), nil
}

// parse reads the name of a document, or of a document or the root where the name is a parent.
func (db *database) parse(name string) (key, error) {
	path, ok := strings.CutPrefix(name, db.name+documents)
	if !ok || path != "" && path[0] != '/' {
		return "", invalid("%q is not in %s", name, db.name)
	}
	if path == "" {
		return "", nil
	}
	segments := strings.Split(path[1:], "/")
	switch {
	case len(segments)%2 != 0:
		return "", invalid("%q is a collection, not a document", name)
	case len(path) > maxName:
		return "", invalid("a name of %d bytes is over the limit of %d", len(path), maxName)
	case len(segments) > maxPath:
		return "", invalid("%q is more than %d collections deep", name, maxPath/2)
	}
	for _, s := range segments {
		if err := checkID(s); err != nil {
			return "", err
		}
	}
	return key(strings.Join(segments, separator)), nil
}

// document reads the name of a document.
func (db *database) document(name string) (key, error) {
	k, err := db.parse(name)
	if err == nil && k == "" {
		return "", invalid("%q is no document", name)
	}
	return k, err
}

// checkID holds an id to the rules of https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields.
func checkID(id string) error {
	switch {
	case id == "" || id == "." || id == "..":
		return invalid("%q can't be an id", id)
	case len(id) > maxID:
		return invalid("an id of %d bytes is over the limit of %d", len(id), maxID)
	case !utf8.ValidString(id) || strings.ContainsAny(id, "/"+separator):
		return invalid("an id has characters that it can't have: %q", id)
	case reserved(id):
		return invalid("the id %q is reserved", id)
	}
	return nil
}

// resource is the name of a document.
func (db *database) resource(k key) string {
	return db.name + documents + "/" + strings.ReplaceAll(string(k), separator, "/")
}

// parent is the path of the collection that a document is in.
func (k key) parent() key { return k[:strings.LastIndex(string(k), separator)] }

// collection is the id of the collection that a document is in.
func (k key) collection() string {
	parent := string(k.parent())
	return parent[strings.LastIndex(parent, separator)+1:]
}

// collectionOf is the id of the collection that a document of a valid name is in.
func collectionOf(name string) string {
	segments := strings.Split(name, "/")
	return segments[len(segments)-2]
}

// below is the beginning of all keys below a document, or below the root.
func (k key) below() string {
	if k == "" {
		return ""
	}
	return string(k) + separator
}

// fieldPath splits a path such as a.b.`c.d` (FieldPath in
// https://firebase.google.com/docs/firestore/reference/rpc/google.firestore.v1#documentmask).
func fieldPath(text string) ([]string, error) {
	var path []string
	for rest := text; ; {
		var segment string
		var err error
		if strings.HasPrefix(rest, "`") {
			segment, rest, err = quoted(rest)
		} else {
			i := strings.IndexByte(rest, '.')
			if i < 0 {
				i = len(rest)
			}
			segment, rest = rest[:i], rest[i:]
			if !simple(segment) {
				err = invalid("the segment %q of a field path must be quoted", segment)
			}
		}
		if err != nil {
			return nil, err
		}
		path = append(path, segment)
		if rest == "" {
			return path, nil
		}
		if rest[0] != '.' {
			return nil, invalid("bad field path %q", text)
		}
		rest = rest[1:]
	}
}

// mask is the field paths of a document that are wanted; nil: all of it.
type mask [][]string

func newMask(m *pb.DocumentMask) (mask, error) {
	if m == nil {
		return nil, nil
	}
	paths := mask{}
	for _, text := range m.GetFieldPaths() {
		if text == nameField { // every document has it
			continue
		}
		path, err := fieldPath(text)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// of leaves only the fields of a mask.
func (m mask) of(f fields) fields {
	if m == nil {
		return f
	}
	kept := fields{}
	for _, path := range m {
		if v, ok := lookup(f, path); ok {
			kept = set(kept, path, v)
		}
	}
	return kept
}

// quoted reads a segment in backquotes, in which a backslash takes the next character as it is.
func quoted(text string) (segment, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '`':
			if b.Len() == 0 {
				return "", "", invalid("an empty segment in a field path")
			}
			return b.String(), text[i+1:], nil
		case '\\':
			i++
			if i == len(text) {
				return "", "", invalid("bad field path %q", text)
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", invalid("a field path's quote has no end: %q", text)
}

// joinPath writes a path that [fieldPath] reads.
func joinPath(path []string) string {
	segments := make([]string, len(path))
	for i, s := range path {
		segments[i] = s
		if !simple(s) {
			segments[i] = "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
		}
	}
	return strings.Join(segments, ".")
}

// simple reports whether a segment needs no quotes.
func simple(segment string) bool {
	for i, r := range segment {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return segment != ""
}
