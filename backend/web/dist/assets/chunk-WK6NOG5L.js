import{b as e}from"./chunk-4BJQB4NU.js";import{ea as o,ga as r}from"./chunk-QVNJBJR2.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
