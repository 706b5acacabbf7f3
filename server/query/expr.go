package query

// Expr is a node of the syntax tree: see the types of this package.
type Expr interface{ isExpr() }
